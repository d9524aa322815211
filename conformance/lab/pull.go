//go:build unix

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pull is an image that a pod wants.
type Pull struct {
	Image string
	// Namespace and Account are the pod's, made where they are missing; they
	// count on a node that has joined.
	Namespace, Account string
	// Secrets are the pod's imagePullSecrets, likewise.
	Secrets []string
}

// PullResult is how the kubelet fared with the image.
type PullResult struct {
	Pulled bool
	// Reason and Message are what the pod's status says where it was not
	// pulled: "ErrImagePull" and the error.
	Reason, Message string
	// Events are those of the pod, oldest first, each "REASON: MESSAGE"; only
	// where the node has joined.
	Events []string
	Took   time.Duration
}

// PullImage has the node run a pod with the image and says whether the image
// came, which is known within seconds either way. The pod is gone afterwards.
func (n *Node) PullImage(ctx context.Context, p Pull) (PullResult, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n.pods++
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pull-%d-%s", n.pods, n.Name), Namespace: p.Namespace},
		Spec: corev1.PodSpec{
			HostNetwork: true, ServiceAccountName: p.Account,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: p.Image, ImagePullPolicy: corev1.PullAlways}},
		},
	}
	for _, secret := range p.Secrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	began := time.Now()
	remove, err := n.runPod(ctx, pod)
	if err != nil {
		return PullResult{}, err
	}
	var result PullResult
	err = n.process.waitFor(ctx, time.Minute, func(ctx context.Context) error {
		status, err := n.podStatus(ctx, pod)
		if err != nil {
			return err
		}
		var known bool
		if result, known = judge(status); !known {
			return errors.New("the kubelet has said nothing about the image")
		}
		return nil
	})
	result.Took = time.Since(began)
	if n.opts.Joined && err == nil {
		// They are written beside the status, and may come after it.
		err = n.process.waitFor(ctx, 20*time.Second, func(ctx context.Context) error {
			result.Events, err = n.lab.events(ctx, pod.Namespace, pod.Name)
			if text := strings.Join(result.Events, "\n"); err == nil && !strings.Contains(text, "Failed: ") && !strings.Contains(text, "Pulled: ") {
				err = errors.New("no event says what became of the image")
			}
			return err
		})
	}
	return result, errors.Join(err, remove())
}

// judge reads a pod's status.
func judge(status corev1.PodStatus) (PullResult, bool) {
	for _, c := range status.ContainerStatuses {
		switch {
		case c.State.Running != nil, c.State.Terminated != nil:
			return PullResult{Pulled: true}, true
		case c.State.Waiting == nil:
		case c.State.Waiting.Reason == "ErrImagePull", c.State.Waiting.Reason == "InvalidImageName", c.State.Waiting.Reason == "ImageInspectError":
			return PullResult{Reason: c.State.Waiting.Reason, Message: c.State.Waiting.Message}, true
		case c.State.Waiting.Reason == "RunContainerError", c.State.Waiting.Reason == "CreateContainerError":
			return PullResult{Pulled: true, Reason: c.State.Waiting.Reason, Message: c.State.Waiting.Message}, true
		case c.State.Waiting.Reason == "", c.State.Waiting.Reason == "ContainerCreating", c.State.Waiting.Reason == "PodInitializing":
		default: // ImagePullBackOff; where the kubelet does not even try, its error is the reason
			return PullResult{Reason: c.State.Waiting.Reason, Message: c.State.Waiting.Message}, true
		}
	}
	return PullResult{}, false
}

// runPod hands the pod to the kubelet, and returns what takes it away again.
func (n *Node) runPod(ctx context.Context, pod *corev1.Pod) (remove func() error, err error) {
	if !n.opts.Joined {
		pod.Namespace, pod.Spec.ServiceAccountName = "default", ""
		manifest := n.path("manifests", pod.Name+".json")
		if err := writeJSON(manifest+".part", pod); err != nil {
			return nil, err
		}
		return func() error { return os.Remove(manifest) }, os.Rename(manifest+".part", manifest)
	}
	if pod.Namespace == "" {
		pod.Namespace = "default"
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	if err := n.lab.account(ctx, pod.Namespace, pod.Spec.ServiceAccountName); err != nil {
		return nil, err
	}
	pod.Spec.NodeName = n.Name
	pods := n.lab.Admin.CoreV1().Pods(pod.Namespace)
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("lab: pod %s: %w", pod.Name, err)
	}
	return func() error {
		now := int64(0)
		err := pods.Delete(context.WithoutCancel(ctx), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}, nil
}

func (n *Node) podStatus(ctx context.Context, pod *corev1.Pod) (corev1.PodStatus, error) {
	if n.opts.Joined {
		p, err := n.lab.Admin.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return corev1.PodStatus{}, err
		}
		return p.Status, nil
	}
	pods, err := n.Pods(ctx)
	for _, p := range pods {
		if p.Name == pod.Name+"-"+n.Name { // a static pod's name gets the node's
			return p.Status, nil
		}
	}
	return corev1.PodStatus{}, err
}

// events returns what was recorded of a pod.
func (l *Lab) events(ctx context.Context, namespace, pod string) ([]string, error) {
	list, err := l.Admin.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
	if err != nil {
		return nil, fmt.Errorf("lab: events of %s: %w", pod, err)
	}
	var out []string
	for _, e := range list.Items {
		out = append(out, e.Reason+": "+e.Message)
	}
	return out, nil
}

// AllowAudience lets nodes ask for service account tokens of an audience, which
// the API server wants to be told (KEP-4412).
func (l *Lab) AllowAudience(ctx context.Context, audience string) error {
	name := "lab-audience-" + newUUID()
	_, err := l.Admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"request-serviceaccounts-token-audience"}, APIGroups: []string{""}, Resources: []string{audience}}},
	}, metav1.CreateOptions{})
	if err == nil {
		_, err = l.Admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:nodes"}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("lab: audience %s: %w", audience, err)
	}
	return nil
}

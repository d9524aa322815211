package cluster

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// ImagePod is what a kubelet knows of a pod when it pulls the pod's images.
type ImagePod struct {
	Namespace, Name, UID string
	// Node is where it runs, "" before it is scheduled.
	Node string
	// Account is its service account, with uid and annotations.
	Account, AccountUID string
	Annotations         map[string]string
	// Images are those of its containers, init and ephemeral ones first.
	Images []string
	// Secrets are its imagePullSecrets in their order.
	Secrets []ImageSecret
	// audiences are those that its volumes name.
	audiences map[string]bool
}

// ImageSecret is an imagePullSecret.
type ImageSecret struct {
	Name string
	// Missing says that there is none of the name, which the kubelet passes over.
	Missing bool
	Type    string
	Data    map[string][]byte
}

// ImagePod reads a pod with its service account and its imagePullSecrets.
func (c *Client) ImagePod(ctx context.Context, namespace, name string) (ImagePod, error) {
	var pod corev1.Pod
	err := c.kube.core.get(ctx, "pods", namespace, name, &pod)
	if err != nil {
		return ImagePod{}, explain(err, "pod "+namespace+"/"+name, c.Name)
	}
	p, err := c.ImageAccount(ctx, namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return ImagePod{}, err
	}
	p.Name, p.UID, p.Node = pod.Name, string(pod.UID), pod.Spec.NodeName
	p.audiences = volumeAudiences(&pod)
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			p.Images = append(p.Images, containers[i].Image)
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		p.Images = append(p.Images, pod.Spec.EphemeralContainers[i].Image)
	}
	p.Secrets, err = c.imageSecrets(ctx, namespace, pod.Spec.ImagePullSecrets)
	return p, err
}

// ImageAccount is what a kubelet would know of a new pod with the service
// account: its imagePullSecrets go into each pod (ServiceAccount admission).
func (c *Client) ImageAccount(ctx context.Context, namespace, name string) (ImagePod, error) {
	p := ImagePod{Namespace: namespace, Account: name}
	if name == "" {
		return p, nil
	}
	var account corev1.ServiceAccount
	err := c.kube.core.get(ctx, "serviceaccounts", namespace, name, &account)
	if err != nil {
		return p, explain(err, "service account "+namespace+"/"+name, c.Name)
	}
	p.AccountUID, p.Annotations = string(account.UID), account.Annotations
	p.Secrets, err = c.imageSecrets(ctx, namespace, account.ImagePullSecrets)
	return p, err
}

// imageSecrets reads secrets in their order; references without a name are
// passed over (getPullSecretsForPod in k8s.io/kubernetes pkg/kubelet/kubelet_pods.go).
func (c *Client) imageSecrets(ctx context.Context, namespace string, refs []corev1.LocalObjectReference) ([]ImageSecret, error) {
	var out []ImageSecret
	for _, ref := range refs {
		if ref.Name == "" {
			continue
		}
		var secret corev1.Secret
		err := c.kube.core.get(ctx, "secrets", namespace, ref.Name, &secret)
		switch {
		case apierrors.IsNotFound(err):
			out = append(out, ImageSecret{Name: ref.Name, Missing: true})
		case err != nil:
			return nil, explain(err, "secret "+namespace+"/"+ref.Name, c.Name)
		default:
			out = append(out, ImageSecret{Name: ref.Name, Type: string(secret.Type), Data: secret.Data})
		}
	}
	return out, nil
}

func volumeAudiences(pod *corev1.Pod) map[string]bool {
	out := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				out[s.ServiceAccountToken.Audience] = true
			}
		}
	}
	return out
}

// AudienceError says that a node gets no token, in the API server's words.
type AudienceError struct{ Account, Audience, Node string }

func (e *AudienceError) Error() string {
	return fmt.Sprintf("serviceaccounts %q is forbidden: audience %q not found in pod spec volume, system:node:%s is not authorized to request tokens for this audience", e.Account, e.Audience, e.Node)
}

// MayGetToken returns an [*AudienceError] where the pod's node has no right to a
// token of the pod's account for the audience. Audiences that a CSI driver asks
// for are not seen.
func (c *Client) MayGetToken(ctx context.Context, p ImagePod, audience string) error {
	if p.audiences[audience] {
		return nil
	}
	node, shown := p.Node, p.Node
	if node == "" {
		node, shown = "kubecred", "NODE"
	}
	allowed, err := c.nodeMayRequest(ctx, node, p.Namespace, p.Account, audience)
	if err == nil && !allowed {
		err = &AudienceError{p.Account, audience, shown}
	}
	return err
}

// ImageToken returns a token of the pod's account for an audience, as the pod's
// node would get it, but with this user's own right to create tokens.
func (c *Client) ImageToken(ctx context.Context, p ImagePod, audience string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
	if p.UID != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: types.UID(p.UID)}
	}
	if err := c.kube.core.createIn(ctx, "serviceaccounts", p.Namespace, p.Account, "token", request); err != nil {
		return "", explain(err, "a token of service account "+p.Namespace+"/"+p.Account, c.Name)
	}
	return request.Status.Token, nil
}

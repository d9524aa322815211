//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubecred/kubecred/conformance/lab"
)

// webhookImage is an image from scratch: kubecred and nothing else, for a user
// that is not root.
const webhookImage = "kubecred.lab/kubecred:1"

// controlPlaneNode starts a node that has what the manifests of `init` want of a
// control-plane node, and what `init` says to copy there.
func (w *webhookWorld) controlPlaneNode(ctx context.Context, t *testing.T) *lab.Node {
	t.Helper()
	etc, state := filepath.Join(w.dir, "etc"), filepath.Join(w.dir, "state")
	for _, dir := range []string{etc, state} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{
		w.AdminKubeconfig: filepath.Join(etc, "admin.conf"), filepath.Join(w.dir, "cert.pem"): filepath.Join(state, "cert.pem"),
		filepath.Join(w.dir, "key.pem"): filepath.Join(state, "key.pem"),
	} {
		if err := os.WriteFile(to, must[[]byte](t)(os.ReadFile(from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := must[string](t)(shared.Kubecred(ctx, "kubecred"))
	node := must[*lab.Node](t)(w.Node(ctx, lab.NodeOptions{
		Joined:  true,
		Images:  map[string]lab.Image{webhookImage: {Program: program, User: "65532:65532", Env: []string{"AWS_ENDPOINT_URL=" + w.aws.URL, "AWS_EC2_METADATA_DISABLED=true"}}},
		Folders: map[string]string{"/etc/kubernetes": etc, "/var/kubecred-authenticator": state},
	}))
	t.Cleanup(func() {
		if err := node.Stop(); err != nil {
			t.Error(err)
		}
	})
	patch := must[[]byte](t)(json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{"node-role.kubernetes.io/control-plane": ""}}}))
	if _, err := w.Admin.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	return node
}

// ready waits until the only pod of the webhook is ready, and says what keeps it
// from being so otherwise.
func (w *webhookWorld) ready(ctx context.Context, t *testing.T) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var pod *corev1.Pod
	defer func() {
		if t.Failed() {
			said := w.kubectl(t.Context(), t, "-n", "kube-system", "describe", "pod", "-l", "k8s-app=kubecred-authenticator")
			t.Log(said.Stdout)
		}
	}()
	waitFor(t, ctx, "the webhook's pod is ready", func() bool {
		pods, err := w.Admin.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kubecred-authenticator"})
		if err != nil || len(pods.Items) != 1 {
			return false
		}
		pod = &pods.Items[0]
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	})
	return pod
}

func (w *webhookWorld) gone(ctx context.Context, t *testing.T) {
	t.Helper()
	waitFor(t, ctx, "the webhook's pod is gone", func() bool {
		pods, err := w.Admin.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kubecred-authenticator"})
		return err == nil && len(pods.Items) == 0
	})
}

// TestWebhookAsAPod runs what `init` writes on a real kubelet: the static pod,
// with a kubeconfig of the node, and then the DaemonSet, as its user and with
// the rights of its account. The real API server asks both who a token is.
func TestWebhookAsAPod(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	w := newWebhookWorldWith(ctx, t, "v1", lab.Options{ServiceNet: fmt.Sprintf("127.%d.%d", 64+rand.IntN(64), rand.IntN(256))})
	w.auth(ctx, t, fmt.Sprintf(aliceEntry, "devs"))
	node := w.controlPlaneNode(ctx, t)

	static := filepath.Join(node.Dir, "manifests", "kubecred-authenticator.yaml")
	if err := os.WriteFile(static, must[[]byte](t)(os.ReadFile(filepath.Join(w.dir, "static-pod.yaml"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if pod := w.ready(ctx, t); pod.Annotations["kubernetes.io/config.source"] != "file" {
		t.Errorf("%s is no static pod", pod.Name)
	}
	w.until(ctx, t, "alice devs,system:authenticated")
	if err := os.Remove(static); err != nil {
		t.Fatal(err)
	}
	w.gone(ctx, t)

	// As init says: the DaemonSet's user must be able to read the key.
	for _, name := range []string{"", "cert.pem", "key.pem"} {
		if err := os.Chown(filepath.Join(w.dir, "state", name), 65532, 65532); err != nil {
			t.Fatal(err)
		}
	}
	w.kubectl(ctx, t, "apply", "-f", filepath.Join(w.dir, "rbac.yaml"), "-f", filepath.Join(w.dir, "daemonset.yaml"))
	var pod *corev1.Pod
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	waitFor(t, soon, "the DaemonSet has a pod", func() bool {
		pods, err := w.Admin.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kubecred-authenticator"})
		if err == nil && len(pods.Items) == 1 {
			pod = &pods.Items[0]
		}
		return pod != nil
	})
	// There is no scheduler; its controller has said where the pod belongs.
	bind := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: node.Name}}
	if err := w.Admin.CoreV1().Pods("kube-system").Bind(ctx, bind, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod = w.ready(ctx, t)
	w.auth(ctx, t, fmt.Sprintf(aliceEntry, "ops"))
	w.until(ctx, t, "alice ops,system:authenticated")
	log := must[string](t)(node.Log(ctx, "kube-system", pod.Name, "kubecred"))
	wantText(t, log, `"msg":"listening"`, `"msg":"access granted"`)
	if strings.Contains(log, "X-Amz-") {
		t.Error("the log shows a token")
	}
	w.kubectl(ctx, t, "delete", "-f", filepath.Join(w.dir, "daemonset.yaml"))
	w.gone(ctx, t)
}

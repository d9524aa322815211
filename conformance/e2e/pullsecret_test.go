//go:build unix

package e2e

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/conformance/lab"
)

// TestPullSecrets has image explain and image try read a pod's secrets from the
// cluster, and holds what they say against the kubelet that pulls for such pods.
func TestPullSecrets(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, "pullsecrets"))
	registry := must[*lab.Registry](t)(shared.Registry(ctx, lab.Bearer))
	image := must[string](t)(registry.Push(ctx, "team/app:1"))
	secret := func(name string, kind corev1.SecretType, field, entry string) {
		t.Helper()
		text := fmt.Sprintf(`{"auths":{%q:%s}}`, registry.Host, entry)
		must[*corev1.Secret](t)(shared.Admin.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: map[string][]byte{field: []byte(text)},
		}, metav1.CreateOptions{}))
	}
	right := base64.StdEncoding.EncodeToString([]byte(registry.Username + ":" + registry.Password))
	secret("opaque", corev1.SecretTypeOpaque, ".dockerconfigjson", `{"auth":"`+right+`"}`)
	secret("wrong", corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", `{"username":"puller","password":"wrong"}`)
	secret("right", corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", `{"auth":"`+right+`"}`)
	secret("broken", corev1.SecretTypeDockerConfigJson, ".dockerconfigjson", `{"auth":"no"}`)
	p := must[*lab.Provider](t)(shared.Provider(ctx, registry))
	config := must[string](t)(p.Config(nil, "registry.example.com")) // not for this image
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{Joined: true, ImageConfig: config, BinDir: p.BinDir}))
	defer node.Stop()
	for _, tt := range []struct {
		name    string
		secrets []string
		pulled  bool
		says    []string // of image try
	}{
		{"right", []string{"missing", "opaque", "wrong", "right"}, true, []string{
			"kubecred: imagePullSecret missing: there is none in namespace " + ns + ", and the kubelet goes on without it",
			`kubecred: imagePullSecret opaque: a Secret of type "Opaque"`,
			"1. as puller from imagePullSecret wrong", "2. as puller from imagePullSecret right", "a kubelet pulls this with login 2",
		}},
		{"wrong", []string{"wrong"}, false, []string{"a kubelet fails: the registry takes none of the logins"}},
		{"broken", []string{"right", "broken"}, false, []string{"a kubelet does not even try: imagePullSecret broken: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image, Namespace: ns, Account: "puller", Secrets: tt.secrets}))
			if got.Pulled != tt.pulled {
				t.Errorf("%+v, want pulled %v", got, tt.pulled)
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "asks-" + tt.name, Namespace: ns}, Spec: corev1.PodSpec{
				ServiceAccountName: "puller", Containers: []corev1.Container{{Name: "main", Image: image}},
			}}
			for _, s := range tt.secrets {
				pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
			}
			must[*corev1.Pod](t)(shared.Admin.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{}))
			flags := []string{"--config", config, "--bin-dir", p.BinDir, "--kubeconfig", shared.AdminKubeconfig, "--pod", ns + "/" + pod.Name}
			out := kubecred(t, append([]string{"image", "try", image}, flags...)...)
			if want := map[bool]int{true: 0, false: 1}[tt.pulled]; out.Status != want {
				t.Errorf("exit status %d, want %d", out.Status, want)
			}
			wantText(t, out.Stdout+out.Stderr, tt.says...)
			// Without a name it tells of the pod's own images.
			out = kubecred(t, append([]string{"image", "explain", "--run"}, flags...)...)
			wantText(t, out.Stdout, image+"\n")
			if tt.name == "broken" { // in the words that the pod has
				wantStatus(t, out, 1)
				wantText(t, out.Stdout, "pulls nothing: each pull of the pod fails with\n         imagePullSecret broken: "+got.Message)
			}
		})
	}
}

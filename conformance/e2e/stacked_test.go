//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/conformance/lab"
)

// kubeletSaid returns the lines that a kubelet logged about its credential
// providers' failures, without klog's head.
func kubeletSaid(t *testing.T, node *lab.Node) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(node.KubeletLog)))) {
		if _, said, ok := strings.Cut(line, `] "Failed to provide credentials for image"`); ok {
			out = append(out, `"Failed to provide credentials for image"`+strings.TrimRight(said, "\n"))
		}
	}
	return out
}

// ofPod is what a kubelet's log line says whatever the pod's name.
func ofPod(line string) string {
	said, _, _ := strings.Cut(line, ` pod="`)
	return said
}

// TestStackedMistakes follows the report: three mistakes in one config, of which
// each hides the next, and each looks like the same 401. image lint names all of
// them at once; as they are mended one by one, image explain says what the
// kubelet's log says.
func TestStackedMistakes(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	const image, audience = "harbor.example.com/library/img:1", "harbor.stacked.example"
	ns := must[string](t)(shared.Namespace(ctx, "stacked"))
	registry := must[*lab.Registry](t)(shared.Registry(ctx, lab.Bearer))
	must[string](t)(registry.Push(ctx, "library/img:1"))
	p := must[*lab.Provider](t)(shared.Provider(ctx, registry))
	tokens := map[string]any{"serviceAccountTokenAudience": audience, "requireServiceAccount": true, "cacheType": "ServiceAccount"}
	write := func(pattern, keyType string) string {
		t.Helper()
		return must[string](t)(p.Config(map[string]any{"tokenAttributes": tokens, "args": []string{"--cache-key-type", keyType}}, pattern))
	}
	config := write("harbor.example.com/*", "registry")
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
		Joined: true, ImageConfig: config, BinDir: p.BinDir, Registries: map[string]*lab.Registry{"harbor.example.com": registry},
	}))
	defer node.Stop()
	// A pod that stays, for image explain to ask about.
	pod := must[*corev1.Pod](t)(shared.Pod(ctx, ns, "stays", "puller", node.Name))

	lint := kubecred(t, "image", "lint", config, "--bin-dir", p.BinDir, "--kubeconfig", shared.AdminKubeconfig, "--cluster", "--service-account", ns+"/puller", "--run", "--image", image)
	wantStatus(t, lint, 1)
	wantText(t, lint.Stdout,
		`KC220  provider lab-provider, pattern 1 "harbor.example.com/*": a glob in the path`,
		`KC244  provider lab-provider: nodes may not request tokens for the audience "`+audience+`"`,
		`KC242  provider lab-provider: the kubelet refuses its answer for harbor.example.com/library/img: credential provider plugin did not return a valid cacheKeyType: registry`,
	)
	t.Logf("%s", lint)

	explain := func() lab.Output {
		t.Helper()
		return kubecred(t, "image", "explain", "--run", "--config", config, "--bin-dir", p.BinDir, "--kubeconfig", shared.AdminKubeconfig, "--pod", ns+"/"+pod.Name, image)
	}
	mend := func(pattern, keyType string) {
		t.Helper()
		if err := os.Rename(write(pattern, keyType), config); err != nil {
			t.Fatal(err)
		}
		if err := node.RestartKubelet(ctx); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(want bool) lab.PullResult {
		t.Helper()
		got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image, Namespace: ns, Account: "puller"}))
		if got.Pulled != want {
			t.Fatalf("%+v, want pulled %v", got, want)
		}
		if !want && !strings.Contains(got.Message, "401") && !strings.Contains(got.Message, "authorization failed") {
			t.Errorf("the pod says %q", got.Message)
		}
		return got
	}

	// 1. No pattern matches: the kubelet has nothing to say.
	t.Logf("the pod: %s", pull(false).Message)
	if said := kubeletSaid(t, node); len(said) != 0 {
		t.Errorf("the kubelet says %s", said)
	}
	out := explain()
	wantStatus(t, out, 0)
	wantText(t, out.Stdout, "and asks no provider", "a glob in the path", "then   pulls anonymously")

	// 2. The pattern is mended, and the node may not have the token.
	mend("harbor.example.com", "registry")
	pull(false)
	said := kubeletSaid(t, node)
	out = explain()
	wantStatus(t, out, 1)
	if len(said) == 0 {
		t.Fatalf("the kubelet says nothing, and image explain\n%s", out)
	}
	wantText(t, out.Stdout, ofPod(said[len(said)-1])+` pod="`+ns+`/stays" podUID="`+string(pod.UID)+`" serviceAccount="`+ns+`/puller"`, "then   pulls anonymously")
	wantText(t, said[len(said)-1], `not found in pod spec volume`)
	if n := len(asked(t, p)); n != 1 {
		t.Errorf("the plugin was asked %d times, want once, by image lint", n)
	}

	// 3. The right is given, as image config prints it, and the answer is refused.
	rbac := kubecred(t, "image", "config", "--print", "rbac", "--audience", audience)
	wantStatus(t, rbac, 0)
	file := filepath.Join(t.TempDir(), "rbac.yaml")
	if err := os.WriteFile(file, []byte(rbac.Stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, must[lab.Output](t)(shared.RunKubectl(ctx, shared.AdminKubeconfig, "apply", "-f", file)), 0)
	waitFor(t, ctx, "the right is known", func() bool {
		return kubecred(t, "image", "lint", config, "--cluster", "--kubeconfig", shared.AdminKubeconfig, "-o", "json").Status == 0
	})
	pull(false)
	said = kubeletSaid(t, node)
	out = explain()
	wantStatus(t, out, 1)
	wantText(t, out.Stdout, ofPod(said[len(said)-1])+` pod="`+ns+`/stays" podUID="`+string(pod.UID)+`" serviceAccount="`+ns+`/puller"`, "then   pulls anonymously")
	wantText(t, said[len(said)-1], "credential provider plugin did not return a valid cacheKeyType: registry")

	// The mended config pulls.
	mend("harbor.example.com", "Registry")
	pull(true)
	wantStatus(t, explain(), 0)
	wantStatus(t, kubecred(t, "image", "lint", config, "--bin-dir", p.BinDir, "--kubeconfig", shared.AdminKubeconfig, "--cluster", "--service-account", ns+"/puller", "--run", "--image", image), 0)
	if err := shared.Admin.CoreV1().Pods(ns).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

// needNode skips the test where this machine cannot run a node, and says why.
func needNode(t *testing.T) {
	t.Helper()
	if err := lab.NodeSupport(); err != nil {
		t.Skip(err)
	}
}

// asked returns what a plugin was asked.
func asked(t *testing.T, p *lab.Provider) []string {
	t.Helper()
	return must[[]string](t)(p.Asked())
}

// TestPull pulls a private image from a registry of either kind with a
// provider's credentials, and fails to without them.
func TestPull(t *testing.T) {
	needNode(t)
	for name, auth := range map[string]lab.RegistryAuth{"basic": lab.Basic, "bearer": lab.Bearer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			registry := must[*lab.Registry](t)(shared.Registry(ctx, auth))
			image := must[string](t)(registry.Push(ctx, "team/app:1"))
			p := must[*lab.Provider](t)(shared.Provider(ctx, registry))
			node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
				ImageConfig: must[string](t)(p.Config(nil, registry.Host+"/team", "registry.example")), BinDir: p.BinDir,
				Registries: map[string]*lab.Registry{"registry.example": registry, "other.example": registry},
			}))
			defer node.Stop()
			for image, want := range map[string]bool{image: true, "registry.example/team/app:1": true, "other.example/team/app:1": false} {
				got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image}))
				if got.Pulled != want {
					t.Errorf("%s: %+v, want pulled %v", image, got, want)
				}
				if !want && !strings.Contains(got.Message, "401") && !strings.Contains(got.Message, "authorization failed") {
					t.Errorf("%s: the pod says %q", image, got.Message)
				}
				t.Logf("%s: %+v", image, got)
			}
			if got := asked(t, p); len(got) != 2 {
				t.Errorf("the plugin was asked %d times, want 2: %s", len(got), got)
			}
		})
	}
}

// TestServiceAccountPull has a kubelet that joined the API server send the pod's
// own token to the plugin.
func TestServiceAccountPull(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	registry := must[*lab.Registry](t)(shared.Registry(ctx, lab.Basic))
	image := must[string](t)(registry.Push(ctx, "team/app:1"))
	p := must[*lab.Provider](t)(shared.Provider(ctx, registry))
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
		Joined: true, Audiences: []string{"registry.lab"},
		ImageConfig: must[string](t)(p.Config(map[string]any{"tokenAttributes": map[string]any{
			"serviceAccountTokenAudience": "registry.lab", "requireServiceAccount": true, "cacheType": "ServiceAccount",
		}}, registry.Host)),
		BinDir: p.BinDir,
	}))
	defer node.Stop()
	got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image, Namespace: ns, Account: "puller"}))
	if !got.Pulled {
		t.Fatalf("not pulled: %+v", got)
	}
	requests := asked(t, p)
	if len(requests) != 1 {
		t.Fatalf("the plugin was asked %d times: %s", len(requests), requests)
	}
	var request struct{ ServiceAccountToken string }
	if err := json.Unmarshal([]byte(requests[0]), &request); err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprint(claimsOf(t, request.ServiceAccountToken))
	wantText(t, claims, "aud:[registry.lab]", "sub:system:serviceaccount:"+ns+":puller", "name:"+node.Name)
}

// TestKubeletRefusesConfig keeps the lab honest about kubelets that do not start.
func TestKubeletRefusesConfig(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	config := file(t, "config.yaml", "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: []\n")
	_, err := shared.Node(ctx, lab.NodeOptions{ImageConfig: config, BinDir: t.TempDir()})
	if err == nil {
		t.Fatal("the kubelet took a config without providers")
	}
	wantText(t, err.Error(), "at least 1 item in plugins is required")
}

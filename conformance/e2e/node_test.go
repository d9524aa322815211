//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// provider is an image credential provider made of the lab's issuer: a plugin
// in a folder of its own, with the credentials of one registry.
type provider struct {
	binDir, calls string
	env           []map[string]string
}

func newProvider(t *testing.T, registry *lab.Registry) provider {
	t.Helper()
	issuer := must[string](t)(shared.Issuer(t.Context()))
	dir := t.TempDir()
	credentials, calls := filepath.Join(dir, "credentials"), filepath.Join(dir, "calls")
	if err := os.WriteFile(credentials, []byte(registry.Username+":"+registry.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	binDir := filepath.Join(dir, "bin")
	if err := os.Mkdir(binDir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(issuer)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(binDir, "lab-provider"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return provider{binDir: binDir, calls: calls, env: []map[string]string{
		{"name": "LAB_CREDENTIALS_FILE", "value": credentials},
		{"name": "LAB_CALLS", "value": calls},
	}}
}

// config writes a CredentialProviderConfig with these patterns and returns its
// path.
func (p provider) config(t *testing.T, more map[string]any, patterns ...string) string {
	t.Helper()
	entry := map[string]any{
		"name": "lab-provider", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
		"matchImages": patterns, "defaultCacheDuration": "10m", "env": p.env,
	}
	for k, v := range more {
		entry[k] = v
	}
	data, err := json.MarshalIndent(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": []any{entry},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "credential-provider-config.yaml", string(data))
}

// asked returns what the plugin was asked, one request a line.
func (p provider) asked(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(p.calls)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")[:strings.Count(string(data), "\n")]
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
			p := newProvider(t, registry)
			node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
				ImageConfig: p.config(t, nil, registry.Host+"/team", "registry.example"), BinDir: p.binDir,
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
			if asked := p.asked(t); len(asked) != 2 {
				t.Errorf("the plugin was asked %d times, want 2: %s", len(asked), asked)
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
	p := newProvider(t, registry)
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
		Joined: true, Audiences: []string{"registry.lab"},
		ImageConfig: p.config(t, map[string]any{"tokenAttributes": map[string]any{
			"serviceAccountTokenAudience": "registry.lab", "requireServiceAccount": true, "cacheType": "ServiceAccount",
		}}, registry.Host),
		BinDir: p.binDir,
	}))
	defer node.Stop()
	got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image, Namespace: ns, Account: "puller"}))
	if !got.Pulled {
		t.Fatalf("not pulled: %+v", got)
	}
	asked := p.asked(t)
	if len(asked) != 1 {
		t.Fatalf("the plugin was asked %d times: %s", len(asked), asked)
	}
	var request struct{ ServiceAccountToken string }
	if err := json.Unmarshal([]byte(asked[0]), &request); err != nil {
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

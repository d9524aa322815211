//go:build unix

package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

// TestNeverMatchingPattern follows the incident: a config that every kubelet
// takes and that no image matches. What image lint and image explain say before
// is what the node does after, and so with the mended config.
func TestNeverMatchingPattern(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	registry := must[*lab.Registry](t)(shared.Registry(ctx, lab.Basic))
	must[string](t)(registry.Push(ctx, "team/app:1"))
	const image = "registry.example.com/team/app:1"
	p := must[*lab.Provider](t)(shared.Provider(ctx, registry))
	for _, tt := range []struct {
		name, pattern string
		code          string // of the finding that lint has
		matches       bool
	}{
		{"a glob in the path", "registry.example.com/team/*", "KC220", false},
		{"a scheme", "https://registry.example.com", "KC221", false},
		{"mended", "registry.example.com/team/", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := must[string](t)(p.Config(nil, tt.pattern))
			lint := kubecred(t, "image", "lint", "--config", config, "--bin-dir", p.BinDir)
			if tt.code == "" {
				wantStatus(t, lint, 0)
			} else {
				wantStatus(t, lint, 1)
				wantText(t, lint.Stdout, tt.code)
			}
			out := kubecred(t, "image", "explain", "--config", config, "-o", "json", image)
			var said struct {
				Matches []struct{ Provider, Pattern string }
				Misses  []struct{ Pattern, Reason string }
			}
			if err := json.Unmarshal([]byte(out.Stdout), &said); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			if (len(said.Matches) > 0) != tt.matches {
				t.Errorf("image explain: %+v, want a match: %v", said, tt.matches)
			}

			node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
				ImageConfig: config, BinDir: p.BinDir, Registries: map[string]*lab.Registry{"registry.example.com": registry},
			}))
			defer node.Stop()
			before := len(asked(t, p))
			pull := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image}))
			if pull.Pulled != tt.matches {
				t.Errorf("the node: %+v, want pulled: %v", pull, tt.matches)
			}
			if got := len(asked(t, p)) > before; got != tt.matches {
				t.Errorf("the plugin was asked: %v, want %v", got, tt.matches)
			}
			if !tt.matches {
				wantText(t, pull.Message, "401 Unauthorized")
				wantText(t, kubecred(t, "explain", pull.Reason+": "+pull.Message).Stdout, "KC2")
			}
		})
	}
}

package cluster

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const twoContexts = `apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: https://a.example:6443}}
- {name: b, cluster: {server: https://b.example:6443}}
contexts:
- {name: prod, context: {cluster: a, user: u}}
- {name: test, context: {cluster: b, user: u}}
users:
- {name: u, user: {token: not-a-secret}}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func statError(name string) string {
	_, err := os.Stat(name)
	return err.Error()
}

func TestConfig(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	current := write(t, "current", twoContexts+"current-context: prod\n")
	without := write(t, "without", twoContexts)
	broken := write(t, "broken", "clusters: [")
	empty := write(t, "empty", "")
	missing := filepath.Join(t.TempDir(), "missing")
	dangling := write(t, "dangling", "contexts:\n- {name: x, context: {cluster: gone, user: u}}\ncurrent-context: x\n")
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".kube", "config"), []byte(twoContexts+"current-context: test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(value string) func(string) string {
		return func(key string) string {
			if key == "KUBECONFIG" {
				return value
			}
			return ""
		}
	}
	list := missing + string(filepath.ListSeparator) + current
	tests := []struct {
		title            string
		o                Options
		name, host, fail string
	}{
		{"current context", Options{Kubeconfig: current}, "prod", "https://a.example:6443", ""},
		{"named context", Options{Kubeconfig: current, Context: "test"}, "test", "https://b.example:6443", ""},
		{"environment", Options{Getenv: env(current)}, "prod", "https://a.example:6443", ""},
		{"list of the environment with a gap", Options{Getenv: env(list)}, "prod", "https://a.example:6443", ""},
		{"home", Options{Home: home}, "test", "https://b.example:6443", ""},
		{"flag before environment", Options{Kubeconfig: current, Getenv: env(broken)}, "prod", "https://a.example:6443", ""},
		{"nothing", Options{}, "", "", "no cluster is named: give --kubeconfig, set KUBECONFIG, or run in a pod"},
		{"a file that is not there", Options{Kubeconfig: missing}, "", "", "kubeconfig: " + statError(missing)},
		{"no current context", Options{Kubeconfig: without}, "", "", "kubeconfig " + without + " has no current-context: give --context"},
		{"unknown context", Options{Kubeconfig: current, Context: "nope"}, "", "", "kubeconfig " + current + ` has no context "nope": it has prod, test`},
		{"no context of a cluster", Options{Kubeconfig: empty}, "", "", "kubeconfig " + empty + " names no cluster"},
		{"a cluster that is not there", Options{Kubeconfig: dangling}, "", "", "kubeconfig " + dangling + " names no cluster"},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			config, name, err := Config(tt.o)
			if tt.fail != "" {
				if err == nil || err.Error() != tt.fail {
					t.Fatalf("Config: %v, want %s", err, tt.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if name != tt.name || config.Host != tt.host {
				t.Errorf("Config: %s at %s, want %s at %s", name, config.Host, tt.name, tt.host)
			}
			if config.Timeout != time.Minute || !strings.HasPrefix(config.UserAgent, "kubecred/devel (") {
				t.Errorf("timeout %v, user agent %q", config.Timeout, config.UserAgent)
			}
		})
	}
	if _, _, err := Config(Options{Kubeconfig: broken}); err == nil || !strings.HasPrefix(err.Error(), "kubeconfig: ") {
		t.Errorf("a broken file: %v", err)
	}
	if _, _, err := Config(Options{}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("no cluster: %v", err)
	}
	if config, _, err := Config(Options{Kubeconfig: current, Timeout: NoTimeout}); err != nil || config.Timeout != 0 {
		t.Errorf("NoTimeout: %v, %v", config.Timeout, err)
	}
}

type answer string

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func TestLimitBodies(t *testing.T) {
	tests := []struct {
		body, query string
		fail        bool
	}{
		{"12345678", "", false},
		{"123456789", "", true},
		{"123456789", "?watch=1", false},
	}
	for _, tt := range tests {
		req, _ := http.NewRequest(http.MethodGet, "https://a.example/x"+tt.query, nil)
		resp, err := limitBodies{answer(tt.body), 8}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if (err != nil) != tt.fail || !tt.fail && string(got) != tt.body {
			t.Errorf("%s%s: read %q, %v", tt.body, tt.query, got, err)
		}
	}
}

//go:build unix

package imagecred_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/imagecred"
)

// answer is a shell script that writes a response.
func answer(cacheKeyType, more string) string {
	return `cat >/dev/null; echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"` + cacheKeyType + `"` + more + `}'`
}

const oneLogin = `,"auth":{"reg.io":{"username":"u","password":"hunter2"}}`

type hostTest struct {
	*imagecred.Host
	t   *testing.T
	now time.Time
	dir string
}

// newHost makes a host with providers p0, p1, ... each a shell script that also
// counts its runs.
func newHost(t *testing.T, extra string, scripts ...string) *hostTest {
	t.Helper()
	h := &hostTest{t: t, now: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC), dir: t.TempDir()}
	config := head
	for i, s := range scripts {
		name := fmt.Sprintf("p%d", i)
		config += fmt.Sprintf("- name: %s\n  matchImages: [reg.io, docker.io, a.reg.io]\n  defaultCacheDuration: 10m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n%s", name, extra)
		script := "#!/bin/sh\necho x >> " + filepath.Join(h.dir, name+".runs") + "\n" + s + "\n"
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := imagecred.Parse("f", []byte(config), 0)
	if c.Refusal != "" {
		t.Fatal(c.Refusal)
	}
	h.Host = &imagecred.Host{Config: c, BinDir: h.dir, Env: []string{"PATH=" + os.Getenv("PATH"), "FROM=kubelet", "BOTH=kubelet"}, Now: func() time.Time { return h.now }, Timeout: 20 * time.Second}
	return h
}

func (h *hostTest) explain(image string, pod imagecred.Pod) imagecred.Story {
	h.t.Helper()
	ref, err := imagecred.ParseImage(image)
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := h.Explain(context.Background(), ref, pod)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *hostTest) runs(i int) int {
	data, err := os.ReadFile(filepath.Join(h.dir, fmt.Sprintf("p%d.runs", i)))
	if err != nil {
		return 0
	}
	return strings.Count(string(data), "x")
}

func attempts(s imagecred.Story) string {
	var out []string
	for _, a := range s.Attempts {
		out = append(out, a.Key+"="+a.Username+" ("+a.Provider+")")
	}
	return strings.Join(out, ", ")
}

func TestRunFailures(t *testing.T) {
	tests := []struct{ name, script, reason, log string }{
		{"crash", "echo no luck with password=hunter2 >&2; exit 3",
			"error execing credential provider plugin p0 for image reg.io/x: exit status 3",
			`"Failed to provide credentials for image" err="failed to get credential from external registry credential provider: error execing credential provider plugin p0 for image reg.io/x: exit status 3: no luck with password=***" provider="p0" image="reg.io/x"`},
		{"killed", "kill -9 $$", "error execing credential provider plugin p0 for image reg.io/x: signal: killed", ""},
		{"garbage", "echo hello", "error reading GVK from response: couldn't get version/kind; json parse error: ... (not a JSON object: it begins with 'h')", ""},
		{"nothing", ":", "error reading GVK from response: couldn't get version/kind; json parse error: ... (empty, want a JSON object)", ""},
		{"100 MB", "head -c 100000000 /dev/zero", "the plugin wrote more than 1024 KiB; a kubelet would go on reading until its memory is gone", ""},
		{"other version", `echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1"}'`,
			"apiVersion from credential plugin response did not match expected apiVersion:credentialprovider.kubelet.k8s.io/v1, actual apiVersion:credentialprovider.kubelet.k8s.io/v1beta1", ""},
		{"cacheKeyType", answer("image", oneLogin), `credential provider plugin did not return a valid cacheKeyType: image (cacheKeyType: is "image", want Image, Registry or Global)`, ""},
		{"unknown field", answer("Image", `,"auth":{"reg.io":{"username":"u","pasword":"hunter2"}}`),
			`error decoding credential provider plugin response from stdout (auth.reg.io.pasword: unknown field; did you mean "password"?)`, ""},
		{"two answers", answer("Image", "") + "; " + answer("Image", ""), "error reading GVK from response: couldn't get version/kind; json parse error: ... (a second document after the first, want one)", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "", tt.script)
			s := h.explain("reg.io/x:1", imagecred.Pod{})
			o := s.Outcomes[0]
			if o.Status != imagecred.Failed || tt.name != "unknown field" && o.Reason != tt.reason || !strings.HasPrefix(o.Reason, strings.Split(tt.reason, " (")[0]) {
				t.Errorf("%s: %s\nwant %s", o.Status, o.Reason, tt.reason)
			}
			if tt.log != "" && o.Log != tt.log {
				t.Errorf("log:\n got %s\nwant %s", o.Log, tt.log)
			}
			if strings.Contains(fmt.Sprintf("%+v %+v", o, *o.Run), "hunter2") {
				t.Errorf("a secret: %+v %+v", o, *o.Run)
			}
			if len(s.Attempts) > 0 {
				t.Errorf("attempts %v", s.Attempts)
			}
			// A failure is not kept.
			h.explain("reg.io/x:1", imagecred.Pod{})
			if h.runs(0) != 2 {
				t.Errorf("%d runs, want 2", h.runs(0))
			}
		})
	}
}

func TestRunHangs(t *testing.T) {
	h := newHost(t, "", "sleep 600 & sleep 600")
	h.Timeout = 300 * time.Millisecond
	o := h.explain("reg.io/x", imagecred.Pod{}).Outcomes[0]
	if want := "error execing credential provider plugin p0 for image reg.io/x: context deadline exceeded"; o.Reason != want {
		t.Errorf("got %s, want %s", o.Reason, want)
	}
	if o.Run.Took > 5*time.Second {
		t.Errorf("took %s", o.Run.Took)
	}
}

func TestRunChildHoldsStdout(t *testing.T) {
	h := newHost(t, "", "sleep 600 &\n"+answer("Image", oneLogin))
	s := h.explain("reg.io/x", imagecred.Pod{})
	o := s.Outcomes[0]
	if o.Status != imagecred.Answered || !o.Run.Held || attempts(s) != "reg.io=u (p0)" {
		t.Errorf("%+v, attempts %s", o, attempts(s))
	}
	if want := "a child of the plugin kept its stdout open: a kubelet waits until that ends, however long it takes, and the pull with it"; len(o.Notes) != 1 || o.Notes[0] != want {
		t.Errorf("notes %q", o.Notes)
	}
}

func TestRunEnvironmentAndRequest(t *testing.T) {
	script := `cat > "$OUT"; echo "$FROM $BOTH $*" >> "$OUT"; ` + answer("Image", "")
	h := newHost(t, "", script)
	out := filepath.Join(h.dir, "out")
	text := head + "- name: p0\n  matchImages: [reg.io]\n  defaultCacheDuration: 10m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  args: [get, \"two words\"]\n  env:\n  - {name: BOTH, value: config}\n  - {name: OUT, value: " + out + "}\n"
	h.Config = imagecred.Parse("f", []byte(text), 0)
	if o := h.explain("reg.io/x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", imagecred.Pod{}).Outcomes[0]; o.Status != imagecred.Answered {
		t.Fatalf("%+v", o)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"reg.io/x"}kubelet config get two words` + "\n"; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCache(t *testing.T) {
	tests := []struct {
		name, script string
		second       string
		after        time.Duration
		runs         int
	}{
		{"image, same", answer("Image", oneLogin), "reg.io/x", 0, 1},
		{"image, other", answer("Image", oneLogin), "reg.io/y", 0, 2},
		{"registry, other image", answer("Registry", oneLogin), "reg.io/y", 0, 1},
		{"registry, other registry", answer("Registry", oneLogin), "a.reg.io/y", 0, 2},
		{"global", answer("Global", oneLogin), "busybox", 0, 1},
		{"default life", answer("Image", oneLogin), "reg.io/x", 10 * time.Minute, 1},
		{"past default life", answer("Image", oneLogin), "reg.io/x", 10*time.Minute + 1, 2},
		{"zero", answer("Image", `,"cacheDuration":"0s"`+oneLogin), "reg.io/x", 0, 2},
		{"negative", answer("Image", `,"cacheDuration":"-1s"`+oneLogin), "reg.io/x", 0, 2},
		{"own life", answer("Image", `,"cacheDuration":"1h"`+oneLogin), "reg.io/x", time.Hour, 1},
		{"no login is kept too", answer("Image", `,"auth":null`), "reg.io/x", 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "", tt.script)
			h.explain("reg.io/x", imagecred.Pod{})
			h.now = h.now.Add(tt.after)
			h.explain(tt.second, imagecred.Pod{})
			if h.runs(0) != tt.runs {
				t.Errorf("%d runs, want %d", h.runs(0), tt.runs)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	h := newHost(t, "",
		answer("Image", `,"auth":{"reg.io":{"username":"first","password":"x"},"reg.io/team":{"username":"team","password":"x"},"*.io":{"username":"glob","password":"x"},"other.io":{"username":"no","password":"x"}}`),
		answer("Image", `,"auth":{"https://reg.io/v2/":{"username":"second","password":"x"}}`))
	secret, err := imagecred.ReadDockerConfig("imagePullSecret s", []byte(`{"auths":{"reg.io":{"username":"pull","password":"x"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	node, err := imagecred.ReadDockerConfig("docker config of the node", []byte(`{"auths":{"http://reg.io":{"auth":"bm9kZTp4"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := attempts(h.explain("reg.io/team/app:1", imagecred.Pod{Secrets: []imagecred.DockerConfig{secret}, NodeConfig: &node}))
	want := "reg.io=pull (imagePullSecret s), reg.io=node (docker config of the node), reg.io/team=team (p0), reg.io=first (p0), reg.io=second (p1), *.io=glob (p0)"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	hub := newHost(t, "", answer("Image", `,"auth":{"https://index.docker.io/v1/":{"username":"hub","password":"x"}}`))
	if got, want := attempts(hub.explain("busybox", imagecred.Pod{})), "index.docker.io=hub (p0)"; got != want {
		t.Errorf("Docker Hub: got %s, want %s", got, want)
	}
	if got := attempts(hub.explain("reg.io/x", imagecred.Pod{})); got != "" {
		t.Errorf("not Docker Hub: %s", got)
	}
}

func TestServiceAccounts(t *testing.T) {
	extra := "  tokenAttributes: {serviceAccountTokenAudience: aud, cacheType: %s, requireServiceAccount: %s, %soptionalServiceAccountAnnotationKeys: [o/k]}\n"
	token := func(s string) func(context.Context, string) (imagecred.Secret, error) {
		return func(_ context.Context, audience string) (imagecred.Secret, error) { return imagecred.Secret(s), nil }
	}
	required := "requiredServiceAccountAnnotationKeys: [r/k], "
	tests := []struct {
		name, extra string
		pod         imagecred.Pod
		status      imagecred.Status
		reason      string
	}{
		{"none, required", fmt.Sprintf(extra, "Token", "true", ""), imagecred.Pod{}, imagecred.Skipped,
			"the pod has no service account and requireServiceAccount is true: the kubelet skips the provider without a word"},
		{"none, not required", fmt.Sprintf(extra, "Token", "false", ""), imagecred.Pod{}, imagecred.Answered, ""},
		{"annotation missing", fmt.Sprintf(extra, "Token", "true", required), imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("t")}, imagecred.Skipped,
			"service account n/a lacks the annotation r/k, which is required: the kubelet skips the provider without a word (verbosity 5 shows it)"},
		{"no token", fmt.Sprintf(extra, "Token", "true", ""), imagecred.Pod{Namespace: "n", ServiceAccount: "a"}, imagecred.Unknown,
			"the plugin is given a token of the pod's service account for the audience aud, and no service account token was given"},
		{"token refused", fmt.Sprintf(extra, "Token", "true", ""), imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: func(context.Context, string) (imagecred.Secret, error) { return "", errors.New("forbidden") }}, imagecred.Failed,
			"failed to get service account token: forbidden"},
		{"all there", fmt.Sprintf(extra, "Token", "true", required), imagecred.Pod{Namespace: "n", ServiceAccount: "a", Annotations: map[string]string{"r/k": "v"}, Token: token("t")}, imagecred.Answered, ""},
		{"token as password", fmt.Sprintf(extra, "ServiceAccount", "true", ""), imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("hunter2")}, imagecred.Failed,
			"credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to 'Token'"},
		{"token as password, by token", fmt.Sprintf(extra, "Token", "true", ""), imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("hunter2")}, imagecred.Answered, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newHost(t, tt.extra, answer("Image", oneLogin)).explain("reg.io/x", tt.pod).Outcomes[0]
			if o.Status != tt.status || o.Reason != tt.reason {
				t.Errorf("got %s: %s\nwant %s: %s", o.Status, o.Reason, tt.status, tt.reason)
			}
		})
	}
	// Whose answer is kept for whom.
	for _, tt := range []struct {
		cacheType string
		second    imagecred.Pod
		runs      int
		what      string
	}{
		{"ServiceAccount", imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("other")}, 1, "same account, other token"},
		{"Token", imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("other")}, 2, "same account, other token"},
		{"Token", imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("t")}, 1, "same token"},
		{"ServiceAccount", imagecred.Pod{Namespace: "n", ServiceAccount: "b", Token: token("t")}, 2, "other account"},
		{"ServiceAccount", imagecred.Pod{Namespace: "na", ServiceAccount: "", Token: token("t")}, 2, "no account"},
		{"ServiceAccount", imagecred.Pod{Namespace: "n", ServiceAccount: "a", ServiceAccountUID: "2", Token: token("t")}, 2, "other uid"},
		{"ServiceAccount", imagecred.Pod{Namespace: "n", ServiceAccount: "a", Annotations: map[string]string{"o/k": "v"}, Token: token("t")}, 2, "other annotation"},
	} {
		h := newHost(t, fmt.Sprintf(extra, tt.cacheType, "false", ""), answer("Image", oneLogin))
		h.explain("reg.io/x", imagecred.Pod{Namespace: "n", ServiceAccount: "a", Token: token("t")})
		h.explain("reg.io/x", tt.second)
		if h.runs(0) != tt.runs {
			t.Errorf("%s, %s: %d runs, want %d", tt.cacheType, tt.what, h.runs(0), tt.runs)
		}
	}
}

func TestOldKubeletLogsOtherwise(t *testing.T) {
	h := newHost(t, "", "exit 1")
	h.Version = 34
	o := h.explain("reg.io/x", imagecred.Pod{}).Outcomes[0]
	if want := "Failed getting credential from external registry credential provider: error execing credential provider plugin p0 for image reg.io/x: exit status 1: "; o.Log != want {
		t.Errorf("got %s, want %s", o.Log, want)
	}
}

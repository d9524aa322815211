//go:build unix

package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/credapi"
)

// pull asks as a kubelet does, which is always the same process.
func (w *world) pull(request credapi.ProviderRequest, issuerArgs ...string) result {
	w.t.Helper()
	cmd := w.raw(false, "", append([]string{program, "image", "--", "issuer", "log=" + w.log}, issuerArgs...)...)
	if request.APIVersion == "" {
		request.APIVersion = credapi.ProviderV1
	}
	cmd.Stdin = strings.NewReader(string(request.Encode(request.APIVersion)))
	return cmd.run(w.t)
}

func response(t *testing.T, r result) credapi.ProviderResponse {
	t.Helper()
	resp, err := credapi.ParseProviderResponse([]byte(r.stdout))
	if err != nil || r.status != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	return resp
}

func TestImageVersions(t *testing.T) {
	w := newWorld(t)
	password := ""
	for _, version := range []string{credapi.ProviderV1, credapi.ProviderV1Alpha1, credapi.ProviderV1Beta1} {
		resp := response(t, w.pull(credapi.ProviderRequest{APIVersion: version, Image: "reg.io/a"}, "provider=Registry", "speaks=v1alpha1"))
		if password == "" {
			password = resp.Auth["reg.io"].Password
		}
		if resp.APIVersion != version || resp.Auth["reg.io"].Password != password || resp.CacheKeyType != credapi.CacheByRegistry {
			t.Errorf("%+v", resp)
		}
		if d := *resp.CacheDuration; d > 6*time.Hour || d < 6*time.Hour-time.Minute {
			t.Errorf("cacheDuration %s", d)
		}
	}
	w.wantRuns(1)
}

// 200 images of 5 registries at once, as after a restart of the node.
func TestManyImagesAtOnce(t *testing.T) {
	w := newWorld(t)
	all := func() time.Duration {
		began := time.Now()
		var wg sync.WaitGroup
		slots := make(chan struct{}, 100)
		for i := range 200 {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				image := fmt.Sprintf("reg%d.io/image%d", i%5, i)
				resp := response(t, w.pull(credapi.ProviderRequest{Image: image}, "provider=Registry", "sleep=50ms"))
				if resp.Auth[fmt.Sprintf("reg%d.io", i%5)].Password == "" {
					t.Errorf("%s: %+v", image, resp.CacheKeyType)
				}
			})
		}
		wg.Wait()
		return time.Since(began).Round(time.Millisecond)
	}
	cold := all()
	w.wantRuns(5)
	w.env = append(w.env, "INVOCATION_ID=of the restarted kubelet", "JOURNAL_STREAM=8:1")
	warm := all()
	w.wantRuns(5)
	t.Logf("cold %s, warm %s", cold, warm)
}

func TestCacheKeyTypes(t *testing.T) {
	for _, tt := range []struct {
		kind string
		runs int
	}{{"Image", 3}, {"Registry", 2}, {"Global", 1}} {
		w := newWorld(t)
		for range 2 {
			for _, image := range []string{"a.io/x", "a.io/y", "b.io/x"} {
				response(t, w.pull(credapi.ProviderRequest{Image: image}, "provider="+tt.kind))
			}
		}
		if n := len(w.runs()); n != tt.runs {
			t.Errorf("%s: %d runs, want %d", tt.kind, n, tt.runs)
		}
	}
	w := newWorld(t) // what is not to be kept is not
	for range 2 {
		resp := response(t, w.pull(credapi.ProviderRequest{Image: "a.io/x"}, "provider=Image", "duration=0s"))
		if *resp.CacheDuration != 0 {
			t.Error(*resp.CacheDuration)
		}
	}
	w.wantRuns(2)
	w = newWorld(t) // an answer without a credential is one
	for range 2 {
		if resp := response(t, w.pull(credapi.ProviderRequest{Image: "a.io/x"}, "provider=Image", "mode=none")); resp.Auth != nil {
			t.Error("a credential")
		}
	}
	w.wantRuns(1)
}

func TestServiceAccounts(t *testing.T) {
	token := func(account, id string, end time.Time) string {
		e := base64.RawURLEncoding.EncodeToString
		payload, _ := json.Marshal(map[string]any{
			"iss": "https://i", "sub": "system:serviceaccount:apps:" + account, "aud": []string{"ecr"}, "exp": end.Unix(), "jti": id,
			"kubernetes.io": map[string]any{"namespace": "apps", "serviceaccount": map[string]string{"name": account, "uid": "u-" + account}, "pod": map[string]string{"name": id}},
		})
		return e([]byte(`{"alg":"RS256"}`)) + "." + e(payload) + "." + e([]byte(secret))
	}
	w := newWorld(t)
	hour := time.Now().Add(time.Hour)
	ask := func(token string, annotations map[string]string) string {
		t.Helper()
		return response(t, w.pull(credapi.ProviderRequest{Image: "a.io/x", ServiceAccountToken: token, ServiceAccountAnnotations: annotations}, "provider=Registry")).Auth["a.io"].Password
	}
	node := ask("", nil)
	web := ask(token("web", "1", hour), nil)
	db := ask(token("db", "2", hour), nil)
	if node == web || web == db {
		t.Fatal("one identity got another's password")
	}
	if ask(token("web", "3", hour), nil) != web {
		t.Error("another pod of the account does not get it")
	}
	if ask(token("web", "3", hour), map[string]string{"role": "x"}) == web {
		t.Error("annotations do not count")
	}
	w.wantRuns(4)
	// It does not outlive the token it was got with.
	ask(token("short", "4", time.Now().Add(-time.Second)), nil)
	ask(token("short", "5", time.Now().Add(-time.Second)), nil)
	w.wantRuns(6)
	outcomes, err := broker.Journal(w.cache())
	if err != nil || len(outcomes) != 6 || outcomes[1].ServiceAccount != "apps/web" {
		t.Errorf("%+v %v", outcomes, err)
	}
}

func TestImageRetriesAndJournal(t *testing.T) {
	w := newWorld(t)
	failures := filepath.Join(w.home, "failures")
	if err := os.WriteFile(failures, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	response(t, w.pull(credapi.ProviderRequest{Image: "a.io/x"}, "provider=Registry", "failures="+failures))
	w.wantRuns(2)
	r := w.pull(credapi.ProviderRequest{Image: "b.io/team/x"}, "mode=status", "status=2", "provider=")
	if r.status != 2 || !strings.HasSuffix(r.stderr, "kubecred-exec: issuer failed with exit status 2\n") {
		t.Errorf("%+v", r)
	}
	w.wantRuns(3)
	r = w.pull(credapi.ProviderRequest{Image: "c.io/x"}, "provider=Nobody")
	if want := `kubecred-exec: issuer printed no CredentialProviderResponse: cacheKeyType: is "Nobody", want Image, Registry or Global` + "\n"; r.status != 2 || r.stderr != want {
		t.Errorf("%+v", r)
	}
	outcomes, err := broker.Journal(w.cache())
	if err != nil || len(outcomes) != 3 {
		t.Fatalf("%+v %v", outcomes, err)
	}
	if o := outcomes[0]; !o.OK || o.Registry != "a.io" || o.Seconds < 0.5 {
		t.Errorf("%+v", o)
	}
	if o := outcomes[1]; o.OK || o.Image != "b.io/team/x" || o.Error != "issuer failed with exit status 2" {
		t.Errorf("%+v", o)
	}
	// No secret is in the journal, nor what a foreign issuer says.
	data, err := os.ReadFile(filepath.Join(w.cache(), "image-journal"))
	if err != nil || strings.Contains(string(data), secret[:6]) || strings.Contains(string(data), "password is") {
		t.Errorf("%s %v", data, err)
	}
	info, err := os.Stat(filepath.Join(w.cache(), "image-journal"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// A request may be larger than a pipe takes at once.
func TestImageLargeRequest(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{3900, 4100, 200 << 10} {
		r := credapi.ProviderRequest{Image: "a.io/x", ServiceAccountAnnotations: map[string]string{"note": strings.Repeat("x", n)}}
		if got := response(t, w.pull(r, "provider=Registry")).Auth["a.io"]; !strings.HasPrefix(got.Password, secret) {
			t.Errorf("%d: %q", n, got.Username)
		}
	}
	w.wantRuns(3)
}

func TestImageBadRequests(t *testing.T) {
	w := newWorld(t)
	for stdin, want := range map[string]string{
		"":   "the request on stdin: empty, want a JSON object",
		"{}": "the request on stdin: kind: missing, want CredentialProviderRequest",
		`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v2","image":"x"}`: `the request on stdin: apiVersion: is "credentialprovider.kubelet.k8s.io/v2", want credentialprovider.kubelet.k8s.io/v1, v1beta1 or v1alpha1`,
		strings.Repeat("x", credapi.MaxDocument+1):                                                             "the request on stdin: larger than 1024 KiB",
	} {
		cmd := w.raw(false, "", program, "image", "--", "issuer")
		cmd.Stdin = strings.NewReader(stdin)
		if r := cmd.run(t); r.status != 2 || r.stderr != "kubecred-exec: "+want+"\n" || r.stdout != "" {
			t.Errorf("%.40q: %+v", stdin, r)
		}
	}
}

//go:build unix

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestImageTry shows a registry two logins and nobody.
func TestImageTry(t *testing.T) {
	public := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && (user == "AWS" && password == "right-password" || public && !ok):
			_, _ = io.WriteString(w, `{"token":"good","expires_in":300}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "/none/"):
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("Authorization") == "Bearer good":
			w.Header().Set("Docker-Content-Digest", "sha256:abc")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := put("config.yaml", "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: demo\n  matchImages: [\""+host+"\"]\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n")
	plugin := func(password string) {
		put("demo", "#!/bin/sh\ncat >/dev/null\necho '{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"cacheKeyType\":\"Registry\",\"auth\":{\""+host+"\":{\"username\":\"AWS\",\"password\":\""+password+"\"}}}'\n")
	}
	plugin("right-password")
	secret := put("docker.json", `{"auths":{"`+host+`":{"username":"old","password":"hunter2"}}}`)
	run := func(args ...string) (int, string) {
		t.Helper()
		var out bytes.Buffer
		w := World{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" },
			Now: func() time.Time { return time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC) }}
		status := Run(context.Background(), append([]string{"kubecred", "image", "try", "--config", config, "--bin-dir", dir}, args...), w)
		for _, password := range []string{"right-password", "hunter2", "wrong-password"} {
			if strings.Contains(out.String(), password) {
				t.Errorf("a secret:\n%s", out.String())
			}
		}
		return status, strings.ReplaceAll(out.String(), host, "HOST")
	}
	contains := func(status, wantStatus int, out string, want ...string) {
		t.Helper()
		if status != wantStatus {
			t.Errorf("status %d, want %d", status, wantStatus)
		}
		for _, line := range want {
			if !strings.Contains(out, line+"\n") {
				t.Errorf("lacks %q:\n%s", line, out)
			}
		}
	}
	status, out := run("--pull-secret", secret, host+"/team/app:1")
	contains(status, 0, out,
		"  1. as old from imagePullSecret "+secret,
		"     http://HOST   the token server HOST refuses (401)",
		"  2. as AWS from demo, for 1 h",
		"     http://HOST   may pull (200, token, the registry's token lasts 5 min)",
		"  3. as nobody",
		"     http://HOST   the token server HOST refuses (401)",
		"  a kubelet pulls this with login 2")

	plugin("wrong-password")
	status, out = run(host + "/team/app:1")
	contains(status, 1, out, "  a kubelet fails: the registry takes none of the logins")
	public = true
	status, out = run(host + "/team/app:1")
	contains(status, 1, out, "  a kubelet fails, though the image is public: where it has a login, it never tries without one")

	status, out = run("-o", "json", host+"/team/app:1")
	var doc struct {
		Pulls    bool
		Attempts []struct {
			Username  string
			Anonymous bool
			Answers   []struct{ Status int }
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || status != 1 || doc.Pulls || len(doc.Attempts) != 2 || doc.Attempts[0].Username != "AWS" || !doc.Attempts[1].Anonymous || doc.Attempts[1].Answers[0].Status != 200 {
		t.Errorf("%d, %v: %s", status, err, out)
	}
	status, out = run(host + "/none/app:1")
	contains(status, 1, out, "  a kubelet fails: the registry has no such image")
	server.Close()
	status, out = run(host + "/team/app:1")
	contains(status, 1, out, "  a kubelet here fails: no registry answered, so nothing is known of the logins")
	status, out = run("Bad/Name")
	contains(status, 2, out, `kubecred: couldn't parse image name "Bad/Name": invalid reference format: repository name (Name) must be lowercase; the kubelet says InvalidImageName`)
}

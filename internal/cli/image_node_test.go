package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckKubelet(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	a := &app{World{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }, Now: func() time.Time { return time.Unix(0, 0) }}}
	say := func() string {
		t.Helper()
		p, err := a.checkKubelet(context.Background(), root)
		if err != nil {
			return err.Error()
		}
		var codes []string
		for _, f := range p.findings {
			codes = append(codes, f.Code)
		}
		for _, s := range p.sources {
			codes = append(codes, strings.ReplaceAll(s.Summary, root, ""))
		}
		return strings.Join(codes, "; ")
	}
	if got := say(); got != "" {
		t.Errorf("no kubelet: %s", got)
	}
	if _, _, err := a.imagePaths(nil, "", root); err == nil || !strings.HasPrefix(err.Error(), "no config: give --config PATH") {
		t.Errorf("no kubelet and no flag: %v", err)
	}
	put("proc/5/cmdline", "/usr/bin/kubelet\x00--v=2\x00")
	if got, want := say(), "KC240; no credential provider"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	put("proc/5/cmdline", "/usr/bin/kubelet\x00--image-credential-provider-config=/etc/c.yaml\x00--image-credential-provider-bin-dir=/opt/bin\x00")
	if got, want := filepath.ToSlash(say()), "KC209; credential providers in /etc/c.yaml"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	put("etc/c.yaml", "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: x\n  matchImages: [reg.io/*]\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n")
	if got, want := filepath.ToSlash(say()), "KC220; KC211; KC232; credential providers in /etc/c.yaml; 1 provider, 1 pattern"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	paths, binDir, err := a.imagePaths(nil, "", root)
	if err != nil || len(paths) != 1 || filepath.ToSlash(strings.TrimPrefix(paths[0]+" "+binDir, root)) != "/etc/c.yaml "+filepath.ToSlash(root)+"/opt/bin" {
		t.Errorf("%q, %q, %v", paths, binDir, err)
	}
}

package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/cli"
)

// What the broker wrote down of the kubelet's questions is told with the image.
func TestExplainReadsTheJournal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("false and cat stand for plugins")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv(broker.DirEnv, dir)
	answer := filepath.Join(t.TempDir(), "answer")
	keep := 6 * time.Hour
	resp := credapi.ProviderResponse{CacheKeyType: credapi.CacheByRegistry, CacheDuration: &keep, Auth: map[string]credapi.AuthConfig{"reg.io": {Username: "u", Password: "S3CRET"}}}
	if err := os.WriteFile(answer, resp.Encode(credapi.ProviderV1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct {
		image, issuer string
		args          []string
	}{{"reg.io/a", "cat", []string{filepath.Join(dir, "gone")}}, {"reg.io/b", "cat", []string{answer}}} {
		b := broker.New(dir, os.Environ())
		b.Stdin, b.Stderr, b.Timeout = nil, nil, time.Second
		q, err := b.Image(credapi.ProviderRequest{Image: ask.image}.Encode(credapi.ProviderV1), ask.issuer, ask.args)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = q.Issue(t.Context())
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(`apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: kubecred-exec
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: [reg.io]
  defaultCacheDuration: 1h
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := cli.Run(context.Background(), []string{"kubecred", "image", "explain", "--config", config, "reg.io/a:1"}, cli.World{
		Stdout: &out, Stderr: &errs, Getenv: os.Getenv, Now: time.Now,
	})
	for _, want := range []string{
		"  what kubecred-exec did for this registry\n",
		" there was no credential for reg.io/a, because cat failed with exit status 1 (",
		" reg.io/b got a new credential (",
	} {
		if status != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%d %s%s\nwant %q", status, out.String(), errs.String(), want)
		}
	}
	if strings.Contains(out.String(), "S3CRET") {
		t.Error("the password is shown")
	}
}

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
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

// keep puts an answer of cat into the cache, as a plugin's.
func keep(t *testing.T, dir, token string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("cat stands for a plugin")
	}
	answer := filepath.Join(t.TempDir(), "answer.json")
	c := credapi.ExecCredential{Token: token, Expiration: time.Now().Add(time.Hour)}
	if err := os.WriteFile(answer, c.Encode(credapi.ExecV1), 0o600); err != nil {
		t.Fatal(err)
	}
	b := broker.New(dir, os.Environ())
	ask, err := b.Client(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{}}`, "cat", []string{answer})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask.Issue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv(broker.DirEnv, dir)
	run := func(now time.Time, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		status := cli.Run(context.Background(), append([]string{"kubecred", "cache"}, args...), cli.World{
			Stdout: &out, Stderr: &errs, Getenv: os.Getenv, Now: func() time.Time { return now },
		})
		if strings.Contains(out.String()+errs.String(), "S3CRET") {
			t.Errorf("the secret is shown: %s%s", out.String(), errs.String())
		}
		return status, out.String(), errs.String()
	}
	if status, out, _ := run(time.Now(), "list"); status != 0 || out != dir+": 0 entries\n" {
		t.Errorf("%d %s", status, out)
	}
	keep(t, dir, "S3CRET")
	status, out, _ := run(time.Now(), "list")
	for _, want := range []string{"client   cat ", "whose    a token that tells nothing of itself", "handed out until ", dir + ": 1 entry\n"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("%d %s\nwant %s", status, out, want)
		}
	}
	_, out, _ = run(time.Now().Add(2*time.Hour), "list", "-o", "json")
	var list struct {
		Entries []struct {
			Road string
			Live bool
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Entries) != 1 || list.Entries[0].Live || list.Entries[0].Road != "client" {
		t.Errorf("%s %v", out, err)
	}
	if _, out, _ := run(time.Now(), "clear", "--expired"); out != dir+": 0 entries removed\n" {
		t.Error(out)
	}
	if err := os.WriteFile(filepath.Join(dir, "client-"+strings.Repeat("0", 64)+".cred"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := run(time.Now(), "list"); !strings.Contains(out, "1 entry cannot be read and so not used; 'kubecred cache clear' removes them\n") {
		t.Error(out)
	}
	if _, out, _ := run(time.Now(), "clear"); out != dir+": 1 entry removed\n" {
		t.Error(out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
	if status, _, errs := run(time.Now(), "list", "-o", "yaml"); status != 2 || errs != "kubecred: -o \"yaml\": use one of text, json\n" {
		t.Errorf("%d %s", status, errs)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := run(time.Now(), "list"); status != 2 || errs != "kubecred: "+dir+" has the mode 0755, which lets others in: chmod 0700\n" {
		t.Errorf("%d %s", status, errs)
	}
}

package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/internal/cli"
)

// runWith runs kubecred in a world of its own.
func runWith(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Run(context.Background(), append([]string{"kubecred"}, args...), cli.World{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Home: t.TempDir(),
		Getenv: func(string) string { return "" },
		Now:    func() time.Time { return time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC) },
	})
	return status, out.String(), errs.String()
}

// golden compares with a file, which UPDATE_SCRIPTS=1 writes.
func golden(t *testing.T, file, got string) {
	t.Helper()
	name := filepath.Join("testdata", "cluster", file)
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestTokensList(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	status, stdout, stderr := runWith(t, "tokens", "list", "--kubeconfig", config)
	if status != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	golden(t, "incident.txt", stdout)

	// The same as JSON, and replayed into text by doctor.
	status, saved, _ := runWith(t, "tokens", "list", "--kubeconfig", config, "-o", "json")
	if status != 1 {
		t.Errorf("json: status %d", status)
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	_, replayed, _ := runWith(t, "doctor", "--from", file)
	golden(t, "incident-replayed.txt", replayed)
	if _, page, _ := runWith(t, "doctor", "--from", file, "-o", "html"); !strings.Contains(page, "kube-system/daemonset/kube2iam") {
		t.Error("the HTML page lacks kube2iam")
	}
}

// TestTokensListWithALog joins the cluster with the real log of the examples.
func TestTokensListWithALog(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	log := filepath.Join("..", "..", "examples", "audit-kube-apiserver-1.35.4.log.gz")
	status, stdout, stderr := runWith(t, "tokens", "list", "--kubeconfig", config, "--audit-log", log, "--now", "2026-11-22T04:13:00Z")
	if status != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	golden(t, "incident-joined.txt", strings.ReplaceAll(stdout, filepath.ToSlash(log), "audit.log.gz"))
}

func TestTokensListFailures(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	refused := kubeconfig(t, apiServer(t, "refused.json").URL)
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--profile", "azure", "--kubeconfig", config}, `--profile: profile "azure": use eks, upstream, gke, aks or a token's life such as 90d or 24h`},
		{[]string{"--now", "today", "--kubeconfig", config}, `--now "today": write it like 2026-11-22T04:13:00Z`},
		{[]string{"--since", "1h", "--kubeconfig", config}, "--since is for --audit-log: give both or none"},
		{[]string{"--kubeconfig", refused}, "listing pods is forbidden in every namespace: name one with --namespace, or bind the rights that 'kubecred tokens list --print-rbac' prints"},
		{[]string{"--kubeconfig", config, "--context", "nope"}, "kubeconfig " + config + ` has no context "nope": it has prod`},
		{[]string{"-o", "yaml", "--kubeconfig", config}, `-o "yaml": use one of `},
		{nil, "no cluster is named: give --kubeconfig, set KUBECONFIG, or run in a pod"},
		{[]string{"extra"}, `kubecred tokens list takes no arguments, and "extra" was given: `},
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, tt := range tests {
		status, stdout, stderr := runWith(t, append([]string{"tokens", "list"}, tt.args...)...)
		if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "kubecred: "+tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, stdout %q, stderr %q, want %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

func TestTokensListPartlyDenied(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "partly.json").URL)
	status, stdout, stderr := runWith(t, "tokens", "list", "--kubeconfig", config, "--fail-on", "warning")
	if status != 1 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	golden(t, "partly.txt", stdout)
}

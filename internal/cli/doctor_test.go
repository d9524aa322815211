package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/cli"
)

// doctor runs doctor on a machine whose files are below root.
func doctor(t *testing.T, root string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Run(t.Context(), []string{"kubecred", "doctor", "--now", "2026-11-22T04:13:00Z"}, cli.World{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(string) string { return "" }, Home: filepath.Join(root, "home"), Root: root, Now: time.Now,
	})
	return status, out.String(), errs.String()
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorLooksInTheUsualPlaces(t *testing.T) {
	examples := filepath.Join("..", "..", "examples")
	root := t.TempDir()
	copyFile(t, filepath.Join(examples, "kubeconfig-2021.yaml"), filepath.Join(root, "home/.kube/config"), 0o600)
	copyFile(t, filepath.Join(examples, "audit-kube-apiserver-1.35.4.log.gz"), filepath.Join(root, "var/log/kubernetes/audit/audit.log.gz"), 0o600)
	status, out, errs := doctor(t, root)
	if status != 1 || errs != "" {
		t.Errorf("status %d, stderr %q, want 1 and none", status, errs)
	}
	for _, want := range []string{"KC101  user staging-admin", "KC301  kube-system/kube2iam, 2 pods", "2 contexts, 2 clusters, 2 users", "1,459 events"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestDoctorWithNothingInTheUsualPlaces(t *testing.T) {
	status, out, errs := doctor(t, t.TempDir())
	want := "kubecred: no kubeconfig, no audit log and no kubelet in the usual places: give --kubeconfig, --audit-log, --image-config or --cluster\n"
	if status != 0 || out != "Nothing to check.\n" || errs != want {
		t.Errorf("status %d, stdout %q, stderr %q, want 0 and %q", status, out, errs, want)
	}
}

//go:build unix

package cli_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe that nobody writes to must not hold a command for ever.
func TestPipeThatNobodyWritesTo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	for _, args := range [][]string{
		{"doctor", "--from"}, {"doctor", "--audit-log"}, {"doctor", "--kubeconfig"}, {"doctor", "--image-config"},
		{"tokens", "scan"}, {"inspect"}, {"explain"}, {"image", "lint", "--config"},
		{"authenticator", "lint"}, {"authenticator", "convert", "--to", "crd"},
		{"authenticator", "explain", "arn:aws:iam::111122223333:role/x", "--mapping"},
	} {
		t.Run(strings.Join(args, "_"), func(t *testing.T) {
			t.Parallel()
			status, out, errs := run(t, append(append([]string{"kubecred"}, args...), name)...)
			if status != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, name+": a named pipe") && !strings.Contains(errs, name+": is a named pipe") {
				t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
			}
		})
	}
}

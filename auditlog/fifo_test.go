//go:build unix

package auditlog_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kubecred/kubecred/auditlog"
)

func TestNamedPipe(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	go func() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err == nil {
			f.WriteString(event("a") + "\n")
			f.Close()
		}
	}()
	if ids, _, _ := collect(t, auditlog.Options{}, auditlog.Path(name)); len(ids) != 1 {
		t.Errorf("%d events from the pipe itself", len(ids))
	}
	// Met in a directory it would block for ever.
	if _, _, stats := collect(t, auditlog.Options{}, auditlog.Path(dir)); len(stats) != 0 {
		t.Errorf("%d streams of a directory with a pipe", len(stats))
	}
}

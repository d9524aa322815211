//go:build unix

package kubeconfig

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func owner(info fs.FileInfo) (uid, gid int) {
	s := info.Sys().(*syscall.Stat_t)
	return int(s.Uid), int(s.Gid)
}

func TestReadFileRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                           "a directory, where a kubeconfig file is wanted",
		pipe:                          "a named pipe, not a file: save what it holds to a file, or pipe it in and give -",
		"/dev/zero":                   "a device, not a file",
		filepath.Join(dir, "nowhere"): "no such file or directory",
	} {
		if _, err := ReadFile(path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	locked := filepath.Join(dir, "locked")
	if err := os.WriteFile(locked, nil, 0); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		t.Log("root may read everything: permission denied is tried with Cause only")
		if got := Cause(&fs.PathError{Op: "open", Path: locked, Err: syscall.EACCES}); got != syscall.EACCES {
			t.Errorf("Cause: %v", got)
		}
		return
	}
	if _, err := ReadFile(locked); err == nil || err.Error() != "permission denied" {
		t.Errorf("no permission: %v", err)
	}
}

package kubeconfig

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func writeTemp(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func replace(t *testing.T, path, text string) error {
	t.Helper()
	w, err := Open(t.Context(), path, time.Second)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Stage([]byte(text)); err != nil {
		return err
	}
	return w.Commit()
}

// only checks that a folder holds nothing but the named files: no temporary file
// and no lock is left.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

func TestWriterKeepsModeAndFollowsLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need rights that Windows does not give")
	}
	dir, other := t.TempDir(), t.TempDir()
	real := writeTemp(t, other, "real", "old")
	if err := os.Chmod(real, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "config")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := replace(t, link, "new"); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(real); string(data) != "new" {
		t.Errorf("the file holds %q", data)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	only(t, dir, "config")
	only(t, other, "real")
}

func TestWriterKeepsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to somebody else")
	}
	path := writeTemp(t, t.TempDir(), "config", "old")
	if err := os.Chown(path, 12345, 23456); err != nil {
		t.Fatal(err)
	}
	if err := replace(t, path, "new"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := owner(info); uid != 12345 || gid != 23456 {
		t.Errorf("owner %d, group %d", uid, gid)
	}
}

func TestLockWaitsForKubectl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeTemp(t, t.TempDir(), "config", "old")
		held := writeTemp(t, filepath.Dir(path), "config.lock", "")
		go func() {
			time.Sleep(time.Second)
			os.Remove(held)
		}()
		w, err := Open(t.Context(), path, 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(held); err != nil {
			t.Errorf("no lock while the file is open: %v", err)
		}
		w.Close()
		only(t, filepath.Dir(path), "config")
	})
}

func TestLockGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeTemp(t, t.TempDir(), "config", "old")
		held := writeTemp(t, filepath.Dir(path), "config.lock", "")
		if err := os.Chtimes(held, time.Time{}, time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := Open(t.Context(), path, 3*time.Second)
		want := held + " is there since 2026-11-22 04:13:00 UTC: another kubectl is writing, or one was killed while it did; if none runs, delete that file"
		var locked *LockError
		if !errors.As(err, &locked) || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Open(ctx, path, 3*time.Second); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		only(t, filepath.Dir(path), "config", "config.lock")
	})
}

func TestWriterWithoutRoom(t *testing.T) {
	path := writeTemp(t, t.TempDir(), "config", "old")
	w, err := Open(t.Context(), path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w.write = func(f *os.File, data []byte) (int, error) {
		n, _ := f.Write(data[:1])
		return n, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	err = w.Stage([]byte("new"))
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "can't write in "+filepath.Dir(path)+": ") {
		t.Errorf("error %v", err)
	}
	if _, err := w.Backup(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("backup: %v", err)
	}
	w.Close()
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("the file holds %q", data)
	}
	only(t, filepath.Dir(path), "config")
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	path := writeTemp(t, dir, "config", "old")
	w, err := Open(t.Context(), path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Stage([]byte("new")); err != nil {
		t.Fatal(err)
	}
	writeTemp(t, dir, "config", "changed meanwhile")
	if err := w.Commit(); err == nil || err.Error() != "changed by another program just now: run it again" {
		t.Errorf("Commit: %v", err)
	}
	w.Close()
	only(t, dir, "config")

	if err := replace(t, dir, "new"); err == nil || err.Error() != "a directory, where a kubeconfig file is wanted" {
		t.Errorf("a directory: %v", err)
	}
	if err := replace(t, filepath.Join(dir, "nowhere"), "new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Link(path, filepath.Join(dir, "second")); err != nil {
		t.Skip("no hard links here: ", err)
	}
	if err := replace(t, path, "new"); err == nil || err.Error() != "a file with 2 hard links: replacing it would cut them; give it a name of its own first" {
		t.Errorf("hard links: %v", err)
	}
}

func TestBackupNames(t *testing.T) {
	dir := t.TempDir()
	path := writeTemp(t, dir, "config", "old")
	for _, want := range []string{"config.bak", "config.bak.2"} {
		w, err := Open(t.Context(), path, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		name, err := w.Backup()
		w.Close()
		if err != nil || name != filepath.Join(dir, want) {
			t.Errorf("backup %s, %v, want %s", name, err, want)
		}
	}
	only(t, dir, "config", "config.bak", "config.bak.2")
}

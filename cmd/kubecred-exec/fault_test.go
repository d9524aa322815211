//go:build unix

package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubecred/kubecred/broker"
)

// Killed at any moment, a call leaves no torn entry and no lock, and never does
// one get the credential of another key.
func TestKilledCalls(t *testing.T) {
	w := newWorld(t)
	w.env = append(w.env, "KUBECRED_REFUSALS=off")
	const calls, atOnce, keys = 1000, 24, 4
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for i := range calls {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			name := fmt.Sprintf("key%d", i%keys)
			cmd := w.command(false, infoV1, "token="+secret+name, "sleep=2ms", "life=20s", fmt.Sprintf("round=%d", i/200))
			var out strings.Builder
			cmd.Stdout = &out
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			if i%10 != 0 {
				time.AfterFunc(time.Duration(rand.IntN(12_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
			err := cmd.Wait()
			if out.Len() > 0 && !strings.Contains(out.String(), `"token":"`+secret+name+"-") {
				t.Errorf("%s got %s", name, out.String())
			}
			if err == nil {
				mu.Lock()
				answered++
				mu.Unlock()
			} else if i%10 == 0 {
				t.Errorf("a call that was not killed failed: %v", err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d of %d calls were answered", answered, calls)
	kept, damaged, err := broker.List(w.cache())
	if err != nil || damaged > 0 || len(kept) < keys {
		t.Errorf("%d entries, %d damaged, %v", len(kept), damaged, err)
	}
	began := time.Now()
	for i := range keys {
		name := fmt.Sprintf("key%d", i)
		if got := token(t, w.ask(infoV1, "token="+secret+name, "sleep=2ms", "life=20s", "round=0"), "v1"); !strings.HasPrefix(got, secret+name) {
			t.Error(got)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a lock is held: took %s", took)
	}
}

// works asks twice in a place without a cache: both are answered, and each says
// once why it takes its time.
func (w *world) works(why string) {
	w.t.Helper()
	for range 2 {
		r := w.ask(infoV1)
		token(w.t, r, "v1")
		if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "kubecred-exec: ") || !strings.Contains(r.stderr, why) {
			w.t.Errorf("stderr %q, want one line with %q", r.stderr, why)
		}
	}
	w.wantRuns(2)
}

func TestNoHome(t *testing.T) {
	w := newWorld(t)
	w.env = w.env[1:]
	w.works("works without its cache: there is no home directory")

	w = newWorld(t)
	gone := filepath.Join(w.home, "gone")
	w.env = append(w.env, "HOME="+gone)
	w.works("works without its cache: the home directory " + gone + ": no such file or directory")
	if _, err := os.Stat(gone); err == nil {
		t.Error("a home was made")
	}
}

// tmpfs mounts a small file system, which only root may.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no tmpfs can be mounted: %s %v", out, err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%s %v", out, err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "size=64k,mode=0700")
	w := newWorld(t)
	w.env = append(w.env, "KUBECRED_CACHE_DIR="+filepath.Join(dir, "cache"))
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 128<<10), 0o600) // until it is full
	w.works("no space left on device")
	left, _ := filepath.Glob(filepath.Join(dir, "cache", ".tmp-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReadOnlyHome(t *testing.T) {
	dir := tmpfs(t, "size=64k,mode=0700")
	if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
		t.Skipf("the tmpfs cannot be made read-only: %s %v", out, err)
	}
	w := newWorld(t)
	w.env = append(w.env, "HOME="+dir)
	w.works("read-only file system")
}

func TestForeignCache(t *testing.T) {
	prepare := func() *world {
		w := newWorld(t)
		if err := os.MkdirAll(w.cache(), 0o700); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := prepare()
	if err := os.Chmod(w.cache(), 0o750); err != nil {
		t.Fatal(err)
	}
	w.works(w.cache() + " has the mode 0750, which lets others in: chmod 0700")

	w = prepare()
	if err := os.Chmod(filepath.Dir(w.cache()), 0o777); err != nil {
		t.Fatal(err)
	}
	w.works(filepath.Dir(w.cache()) + " lets others write: chmod go-w")

	w = prepare()
	if err := os.Remove(w.cache()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), w.cache()); err != nil {
		t.Fatal(err)
	}
	w.works(w.cache() + " is no directory")

	if os.Geteuid() != 0 {
		t.Skip("only root may make a directory of another user")
	}
	w = prepare()
	if err := os.Chown(w.cache(), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	w.works(w.cache() + " belongs to user 12345, not to 0 who runs this")
}

func TestForeignEntry(t *testing.T) {
	entry := func(w *world) string {
		t.Helper()
		token(t, w.ask(infoV1), "v1")
		names, _ := filepath.Glob(filepath.Join(w.cache(), "*.cred"))
		if len(names) != 1 {
			t.Fatal(names)
		}
		return names[0]
	}
	for _, tt := range []struct {
		name string
		do   func(string) error
		said string
	}{
		{"wider mode", func(name string) error { return os.Chmod(name, 0o644) }, "does not use an entry of its cache: %s has the mode 0644, which lets others in: chmod 0600"},
		{"a link", func(name string) error {
			if err := os.Rename(name, name+"x"); err != nil {
				return err
			}
			return os.Symlink(name+"x", name)
		}, "does not use an entry of its cache: %s: too many levels of symbolic links"},
		{"torn", func(name string) error { return os.Truncate(name, 200) }, ""},
		{"empty", func(name string) error { return os.Truncate(name, 0) }, ""},
		{"from the future", func(name string) error {
			later := time.Now().Add(time.Hour)
			return os.Chtimes(name, later, later)
		}, ""},
		{"of another key", func(name string) error {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			return os.WriteFile(name, []byte(strings.Replace(string(data), secret, "OTHERSxyz", 1)), 0o600)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			name := entry(w)
			if err := tt.do(name); err != nil {
				t.Fatal(err)
			}
			r := w.ask(infoV1)
			token(t, r, "v1")
			want := ""
			if tt.said != "" {
				want = "kubecred-exec: " + fmt.Sprintf(tt.said, name) + "\n"
			}
			if r.stderr != want {
				t.Errorf("stderr %q, want %q", r.stderr, want)
			}
			w.wantRuns(2)
			// And it is whole again.
			if r := w.ask(infoV1); r.stderr != "" {
				t.Error(r.stderr)
			}
			w.wantRuns(2)
		})
	}
}

//go:build unix

package lab

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// small is a program that builds in no time.
func small(t *testing.T) *build {
	t.Helper()
	dir := t.TempDir()
	return &build{name: "pause", version: "v0", dir: dir, path: filepath.Join(dir, "pause"), src: source{module: ".", pkg: "./cmd/pause"}}
}

func TestProgramIsBuiltOnce(t *testing.T) {
	b := small(t)
	if b.whole() {
		t.Fatal("whole before it was built")
	}
	var mu sync.Mutex
	var log bytes.Buffer
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := b.run(context.Background(), writerFunc(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return log.Write(p)
			})); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(log.String(), "lab: built pause"); n != 1 {
		t.Errorf("built %d times:\n%s", n, log.String())
	}
	if !b.whole() {
		t.Error("not whole after it was built")
	}
	left, _ := filepath.Glob(filepath.Join(b.dir, ".pause.part*"))
	if len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestHalfBuiltCache damages the cache in the ways in which a crash, a full disk
// or a person does.
func TestHalfBuiltCache(t *testing.T) {
	b := small(t)
	var log bytes.Buffer
	if err := b.run(context.Background(), &log); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]func() error{
		"cut short":     func() error { return os.Truncate(b.path, 1000) },
		"empty":         func() error { return os.WriteFile(b.path, nil, 0o755) },
		"one byte else": func() error { return os.WriteFile(b.path, append([]byte("X"), program[1:]...), 0o755) },
		"gone":          func() error { return os.Remove(b.path) },
		"no seal":       func() error { return os.Remove(b.sealPath()) },
		"a bad seal":    func() error { return os.WriteFile(b.sealPath(), []byte("{"), 0o600) },
	}
	for name, damage := range tests {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if b.whole() {
			t.Errorf("%s: not noticed", name)
		}
		if err := b.run(context.Background(), &log); err != nil {
			t.Fatal(err)
		}
		if !b.whole() {
			t.Errorf("%s: not mended", name)
		}
	}
	// A copy with a new date is the same program.
	if err := os.WriteFile(b.path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if !b.whole() {
		t.Error("a touched program is not taken as whole")
	}
}

func TestRequiredVersion(t *testing.T) {
	const gomod = "module m\n\nrequire github.com/a/b v1.0.0\n\nrequire (\n\tk8s.io/kubernetes v1.35.4\n\tk8s.io/kubernetes-x v9.9.9\n)\n"
	for module, want := range map[string]string{"k8s.io/kubernetes": "v1.35.4", "github.com/a/b": "v1.0.0", "k8s.io/api": ""} {
		if got := requiredVersion([]byte(gomod), module); got != want {
			t.Errorf("%s: %q, want %q", module, got, want)
		}
	}
}

func TestUnknownProgram(t *testing.T) {
	_, err := Program(t.Context(), "kube-proxy", &bytes.Buffer{})
	if want := `lab: no program "kube-proxy"; there are alerts, aws-iam-authenticator,`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s...", err, want)
	}
}

//go:build unix

// Package e2e tries kubecred on a real control plane and a real node. The tests
// share one control plane, each in namespaces of its own; see docs/lab.md.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/conformance/wait"
)

// shared is the control plane of all tests.
var shared *lab.Lab

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if shared, err = lab.Start(ctx, lab.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	interrupted := context.AfterFunc(ctx, func() {
		shared.Close()
		os.Exit(1)
	})
	code := m.Run()
	interrupted()
	if code != 0 {
		shared.KeepLogs()
	}
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// within bounds one test.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// must fails the test where err is not nil, and returns v.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// kubecred runs the real program, built from this source tree.
func kubecred(t *testing.T, args ...string) lab.Output {
	t.Helper()
	return program(t, "kubecred", nil, args...)
}

// program runs one of the project's programs.
func program(t *testing.T, name string, env []string, args ...string) lab.Output {
	t.Helper()
	path, err := shared.Kubecred(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := shared.Command(t.Context(), env, "", path, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantStatus fails the test where a program ended otherwise.
func wantStatus(t *testing.T, out lab.Output, status int) {
	t.Helper()
	if out.Status != status {
		t.Fatalf("exit status %d, want %d:\n%s", out.Status, status, out)
	}
}

// wantText fails the test where a text lacks a part.
func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

// file writes a file for a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// waitFor polls until ok, as long as the context lasts.
func waitFor(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	if err := wait.Until(ctx, 50*time.Millisecond, ok); err != nil {
		t.Fatalf("gave up waiting until %s: %v", what, err)
	}
}

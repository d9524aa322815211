//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a command that runs in a terminal of its own, as a person's does.
type terminal struct {
	t   *testing.T
	cmd *exec.Cmd
	tty *os.File

	mu      sync.Mutex
	shown   bytes.Buffer
	changed chan struct{} // has an element after something was shown
	ended   chan struct{} // closed when the terminal shows nothing more
}

func inTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	program, err := exec.LookPath("kubecred")
	if err != nil {
		t.Fatal(err) // testscript.Main puts it there
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm", "NO_COLOR=1", "TZ=UTC", "GORACE=" + noSleepAtExit}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	x := &terminal{t: t, cmd: cmd, tty: tty, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	t.Cleanup(func() { _ = tty.Close() })
	go x.watch()
	return x
}

// watch ends with the terminal: Linux says EIO when the last process has left it.
func (x *terminal) watch() {
	defer close(x.ended)
	buf := make([]byte, 4096)
	for {
		n, err := x.tty.Read(buf)
		x.mu.Lock()
		x.shown.Write(buf[:n])
		x.mu.Unlock()
		select {
		case x.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.ReplaceAll(x.shown.String(), "\r\n", "\n")
}

// expect waits until the screen holds text.
func (x *terminal) expect(text string) {
	x.t.Helper()
	limit := time.After(50 * time.Second)
	for !strings.Contains(x.screen(), text) {
		select {
		case <-x.changed:
		case <-x.ended:
			if !strings.Contains(x.screen(), text) {
				x.t.Fatalf("it ended without %q:\n%s", text, x.screen())
			}
		case <-limit:
			x.t.Fatalf("no %q:\n%s", text, x.screen())
		}
	}
}

func (x *terminal) keys(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.tty, text); err != nil {
		x.t.Fatal(err)
	}
}

// end waits for the command and returns what was shown and the exit status.
func (x *terminal) end() (string, int) {
	x.t.Helper()
	err := x.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.t.Fatalf("%v:\n%s", err, x.screen())
	}
	if status, ok := x.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		x.t.Fatalf("ended by %v:\n%s", status.Signal(), x.screen())
	}
	select {
	case <-x.ended:
	case <-time.After(10 * time.Second): // not every system ends the terminal
	}
	return x.screen(), x.cmd.ProcessState.ExitCode()
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

const ask = "Which image does the pod pull? (Enter to go on without) "

// configDir is a folder with a credential provider config whose second pattern is
// wrong for one image only.
func configDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n" +
		"  - name: ecr-credential-provider\n    matchImages: [\"*.dkr.ecr.*.amazonaws.com\"]\n" +
		"    defaultCacheDuration: 12h\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTerminalQuestion(t *testing.T) {
	const image = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1"
	for name, c := range map[string]struct {
		keys   string
		want   string // in what is shown after the question
		status int
	}{
		"an answer":                    {image + "\n", image, 0},
		"an answer typed and mended":   {"x\x7f" + image + "\n", image, 0},
		"Enter":                        {"\n", "config.yaml", 0},
		"Ctrl-D":                       {ctrlD, "config.yaml", 0},
		"Ctrl-C":                       {ctrlC, "", 2},
		"Ctrl-C behind half an answer": {"1234" + ctrlC, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := inTerminal(t, configDir(t), "explain", "config.yaml")
			x.expect(ask)
			x.keys(c.keys)
			shown, status := x.end()
			_, after, _ := strings.Cut(shown, ask)
			if !strings.Contains(after, c.want) || status != c.status {
				t.Errorf("exit status %d, want %d, and %q behind the question:\n%s", status, c.status, c.want, shown)
			}
		})
	}
}

// A person pastes into the terminal and ends it with Ctrl-D; the question comes
// after that, and the terminal can still answer it.
func TestTerminalPaste(t *testing.T) {
	t.Parallel()
	x := inTerminal(t, configDir(t), "explain", "-", "config.yaml")
	x.expect("end with Ctrl-D")
	x.keys("Failed to pull image: 401 Unauthorized\n" + ctrlD)
	x.expect(ask)
	x.keys("docker.io/library/busybox\n")
	shown, status := x.end()
	if status != 0 || !strings.Contains(shown, "busybox") {
		t.Errorf("exit status %d:\n%s", status, shown)
	}
}

// What waits for a terminal's input ends with Ctrl-C.
func TestTerminalInterrupt(t *testing.T) {
	for _, args := range []string{"explain -", "explain --redact -", "inspect -", "tokens scan -", "image lint -", "doctor --from -", "kubeconfig check --kubeconfig -"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			x := inTerminal(t, t.TempDir(), strings.Fields(args)...)
			x.expect("end with Ctrl-D") // whoever was not told would not know that it waits
			x.keys("something\n")
			x.keys(ctrlC)
			// Ctrl-C also throws away what the terminal has not shown yet, "interrupted" perhaps.
			if shown, status := x.end(); status != 2 {
				t.Errorf("exit status %d:\n%s", status, shown)
			}
		})
	}
}

// inspect takes a pipe without being told; a terminal it would wait for unseen.
func TestTerminalInspect(t *testing.T) {
	t.Parallel()
	x := inTerminal(t, t.TempDir(), "inspect")
	if shown, status := x.end(); status != 2 || !strings.Contains(shown, "nothing to inspect: pipe a token into it") {
		t.Errorf("exit status %d:\n%s", status, shown)
	}
}

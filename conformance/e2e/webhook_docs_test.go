//go:build unix

package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stranger is somebody who types what a document says.
type stranger struct {
	root string
	env  []string
}

// terminal runs a program of a document until the test ends, and returns the
// lines that it prints up to one that holds last.
func (s *stranger) terminal(ctx context.Context, t *testing.T, text, last string) string {
	t.Helper()
	cmd := exec.Command("bash", "-ec", text)
	cmd.Dir, cmd.Env = s.root, s.env
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { // Ctrl-C
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s\n%s", text, out.String())
		}
	})
	waitFor(t, ctx, last, func() bool { return strings.Contains(out.String(), last) })
	return out.String()
}

// blocks are the indented blocks below a heading.
func blocks(t *testing.T, document, heading string) []string {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile(document)))
	_, text, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", document, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var out []string
	inside := false
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			out[len(out)-1] += code
		case indented:
			out = append(out, code)
		case line == "\n" && inside:
			out[len(out)-1] += "\n"
			continue
		}
		inside = indented
	}
	return out
}

// TestDocumentedLogin types what docs/authenticator.md says, from nothing to a
// login as a mapped role, a mapping that is broken, and the reason.
func TestDocumentedLogin(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	root := must[string](t)(filepath.Abs("../.."))
	code := blocks(t, filepath.Join(root, "docs/authenticator.md"), "From nothing to a login, on one machine")
	if len(code) != 8 {
		t.Fatalf("%d blocks: %q", len(code), code)
	}
	// Its files and its port may be another's on this machine.
	dir := t.TempDir()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	address := l.Addr().String()
	_ = l.Close()
	for i := range code {
		code[i] = strings.NewReplacer("/tmp/webhook", dir, "127.0.0.1:21362", address, "--cluster-id demo", "--cluster-id demo --address "+address).Replace(code[i])
	}
	begin := time.Now()
	s := &stranger{root: root, env: append(os.Environ(), "KUBECRED_CACHE_DIR="+filepath.Join(dir, "tokens"))}
	aws := s.terminal(ctx, t, code[0], "Ctrl-C ends it")
	lab := s.terminal(ctx, t, exports(aws)+code[1], "Ctrl-C ends the lab")
	run := func(text string) string {
		cmd := exec.CommandContext(ctx, "bash", "-c", exports(aws)+exports(lab)+text)
		cmd.Dir, cmd.Env = root, s.env
		out, _ := cmd.CombinedOutput() // whoami fails, as the document says
		return string(out)
	}
	s.terminal(ctx, t, exports(aws)+exports(lab)+code[2]+"echo; echo it is ready; wait", "it is ready")
	out := run(code[3])
	t.Logf("logged in %v after the first command:\n%s", time.Since(begin).Round(time.Second), out)
	wantText(t, out, "admin:", "system:masters")
	wantText(t, run(code[4]), strings.TrimSpace(code[5]))
	out = run(code[6])
	for line := range strings.Lines(code[7]) {
		wantText(t, out, strings.TrimSpace(line))
	}
}

// exports are the lines of a program's output that are for another terminal.
func exports(out string) string {
	text := ""
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "export ") {
			text += line + "\n"
		}
	}
	return text
}

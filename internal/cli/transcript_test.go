package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTranscripts runs what README.md and docs/ show in ```console blocks and
// compares the output, so that no document shows what the programs do not say.
// Each line that begins with "$ " is a command for sh; the lines below it are
// its stdout and stderr. The commands of one file run in one folder, which
// begins with a copy of examples/. With UPDATE_DOCS=1 the files are rewritten.
//
// A block that cannot be run here (it needs a cluster, say) is no console block.
func TestTranscripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the transcripts are written for sh")
	}
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(data, []byte("```console\n")) {
				return
			}
			sh := newShell(t, filepath.Join(root, "examples"))
			got := replay(string(data), sh.run)
			if os.Getenv("UPDATE_DOCS") != "" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(data), got); diff != "" {
				t.Errorf("%s shows other output than the commands give; UPDATE_DOCS=1 go test ./internal/cli -run TestTranscripts rewrites it (-file +run):\n%s", file, diff)
			}
		})
	}
}

// replay returns the text with the output of each command in its console
// blocks replaced by what run returns.
func replay(text string, run func(command string) string) string {
	var out strings.Builder
	inside, skipping := false, false
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case !inside:
			inside = bare == "```console"
			skipping = false
		case bare == "```":
			inside = false
			skipping = false
		case strings.HasPrefix(bare, "$ "):
			out.WriteString(line)
			out.WriteString(run(strings.TrimPrefix(bare, "$ ")))
			skipping = true
			continue
		}
		if !skipping {
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestReplay(t *testing.T) {
	in := "a\n```console\n$ one\nold\nold\n$ two\n```\nb\n```text\n$ three\nkept\n```\n"
	want := "a\n```console\n$ one\n<one>\n$ two\n<two>\n```\nb\n```text\n$ three\nkept\n```\n"
	got := replay(in, func(c string) string { return "<" + c + ">\n" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// shell runs commands as a reader of the docs would, in a folder of its own
// with a home of its own, and with only kubecred, a few tools and stand-ins for
// the usual exec plugins in PATH, so that every machine shows the same.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T, examples string) *shell {
	t.Helper()
	kubecred, err := exec.LookPath("kubecred")
	if err != nil {
		t.Fatal(err) // testscript.Main puts it there
	}
	work := t.TempDir()
	bin, home := filepath.Join(work, "bin"), filepath.Join(work, "home")
	for _, dir := range []string{bin, home} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"sh", "cat", "cp", "diff", "echo", "grep", "gzip", "head", "ls", "mkdir", "printf", "rm", "sed", "sort", "tail", "tr", "wc"} {
		if path, err := exec.LookPath(tool); err == nil {
			if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, plugin := range []string{"aws", "aws-iam-authenticator"} {
		if err := os.WriteFile(filepath.Join(bin, plugin), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS(examples)); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(work, "examples", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names { // whatever the umask of the clone was
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &shell{dir: work, env: []string{
		"PATH=" + filepath.Dir(kubecred) + string(filepath.ListSeparator) + bin,
		"HOME=" + home, "TZ=UTC", "LC_ALL=C", "AWS_EC2_METADATA_DISABLED=true", "GORACE=" + noSleepAtExit,
	}}
}

func (s *shell) run(command string) string {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = s.dir
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		return fmt.Sprintf("%v\n", err)
	}
	// The folder has another name each time.
	text := strings.ReplaceAll(string(out), s.dir+"/", "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

package cli_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubecred/kubecred/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kubecred": func() {
			ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // as in cmd/kubecred
			w := cli.System()
			seen := &watcher{}
			if os.Getenv(watchEnv) != "" {
				w.Stdout, w.Stderr = seen.watch(w.Stdout), seen.watch(w.Stderr)
			}
			code := cli.Run(ctx, os.Args, w)
			if mark := seen.mark(); mark != "" {
				fmt.Fprintf(os.Stderr, "a marked secret was shown: %s\n", mark)
				code = 70
			}
			os.Exit(code)
		},
	})
}

// The secrets of the scripts' files have one of these marks, and no command may
// show one, whatever a script looks at itself.
var marks = []string{"HIDEME", "S3CRET", "hunter2"}

// watchEnv has the command look for marks in all that it writes.
const watchEnv = "KUBECRED_TEST_MARKS"

// watcher keeps a copy of what goes to each of its writers.
type watcher struct{ copies []*bytes.Buffer }

func (w *watcher) watch(out io.Writer) io.Writer {
	var b bytes.Buffer
	w.copies = append(w.copies, &b)
	return io.MultiWriter(out, &b)
}

// mark returns a mark that was written, "" for none. Base64 would hide it, so it
// is looked for in that form too.
func (w *watcher) mark() string {
	for _, b := range w.copies {
		for _, m := range marks {
			for _, form := range []string{m, base64.StdEncoding.EncodeToString([]byte(m))[:len(m)*4/3-1]} {
				if bytes.Contains(b.Bytes(), []byte(form)) {
					return form
				}
			}
		}
	}
	return ""
}

func TestWatcher(t *testing.T) {
	for text, want := range map[string]string{"nothing": "", "x S3CRETxyz": "S3CRET", base64.StdEncoding.EncodeToString([]byte("hunter2...")): "aHVudGVy"} {
		var w watcher
		fmt.Fprint(w.watch(io.Discard), text)
		if got := w.mark(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// noSleepAtExit is GORACE for the commands that tests start. They are this test
// binary, and built with -race each would sleep for a second before it exits.
const noSleepAtExit = "atexit_sleep_ms=0"

func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("USERPROFILE", home)
			e.Setenv("EXAMPLES", filepath.Join(root, "examples"))
			e.Setenv("KUBECONFIG", "")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", noSleepAtExit)
			e.Setenv(watchEnv, "1")
			return os.MkdirAll(home, 0o700)
		},
	})
}

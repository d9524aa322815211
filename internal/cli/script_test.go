package cli_test

import (
	"context"
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
			os.Exit(cli.Run(ctx, os.Args, cli.System()))
		},
	})
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
			return os.MkdirAll(home, 0o700)
		},
	})
}

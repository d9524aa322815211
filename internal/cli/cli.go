// Package cli is the command line of kubecred: one file a command, and the only
// package that prints. Commands turn flags into one options value, hand it to a
// mechanism, and give the findings that come back to a report.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/release"
)

// Exit statuses, a promise to other people's scripts.
const (
	exitOK       = 0 // nothing at or above --fail-on
	exitFindings = 1 // something at or above --fail-on
	exitFailed   = 2 // it could not run
)

// System is the outside world as a command sees it.
func System() World {
	home, _ := os.UserHomeDir()
	return World{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Home: home, Root: "/", Now: time.Now,
	}
}

// World is everything that a command may touch besides the files it is given.
// Tests make one of their own.
type World struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Home           string
	// Root is where the files of the machine are, "/" but in tests.
	Root string
	Now  func() time.Time
}

// app carries the world through the commands.
type app struct{ World }

// exitError is an exit status with nothing more to say.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Run runs the command line args, the program's name first, and returns the
// exit status.
func Run(ctx context.Context, args []string, w World) int {
	w.Stdin = interruptible(ctx, w.Stdin, w.Stderr)
	out := &stdout{w: w.Stdout}
	w.Stdout = out
	root := newRoot(w, programName(args))
	root.SetArgs(args[min(1, len(args)):])
	root.SetIn(w.Stdin)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	err := root.ExecuteContext(ctx)
	var status exitError
	switch found := errors.As(err, &status); {
	case (err == nil || found) && out.err != nil: // whoever wants the output must not believe that it is whole
		err = fmt.Errorf("writing the output: %w", out.err)
	case err == nil:
		return exitOK
	case found:
		return int(status)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(w.Stderr, "%s: %s\n", programName(args), oneLine(err.Error()))
	return exitFailed
}

// programName is what the person typed: "kubecred", or "kubectl cred" where the
// program is linked as kubectl's plugin.
func programName(args []string) string {
	if len(args) == 0 {
		return "kubecred"
	}
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if name == "kubectl-cred" || name == "kubectl-kubecred" {
		return strings.Replace(name, "-", " ", 1)
	}
	return "kubecred"
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRoot(w World, name string) *cobra.Command {
	a := &app{w}
	root := &cobra.Command{
		Use:   "kubecred",
		Short: "Find, explain and mend Kubernetes credentials before they fail",
		Long: `kubecred keeps Kubernetes credentials from failing people: kubectl's exec
plugins, the token webhook, the kubelet's image credential providers and the
service account tokens of pods.

Begin with 'kubecred doctor', which checks what is in reach and changes nothing,
or with 'kubecred explain' and an error message.`,
		Example: `  kubecred doctor
  kubectl get pods 2>&1 | kubecred explain -
  kubecred tokens scan audit.log --profile eks`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.Version = release.Version() // which gives it the flag --version
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// What begins with a dash may be a key or a log that was pasted.
		if text := err.Error(); len(text) > 100 || strings.Contains(text, "\n") || strings.HasPrefix(text, "bad flag syntax") {
			return fmt.Errorf("an argument begins with a dash and is no flag of %s: put -- before it, or pipe it in", cmd.CommandPath())
		}
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(
		a.authenticatorCommand(),
		a.doctorCommand(),
		a.explainCommand(),
		a.cacheCommand(),
		a.inspectCommand(),
		a.imageCommand(),
		a.kubeconfigCommand(),
		a.tokensCommand(),
		a.versionCommand(),
	)
	return root
}

// stdout remembers the first error of writing, as not every command looks at each.
type stdout struct {
	w   io.Writer
	err error
}

func (s *stdout) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// isTerminal tells whether w is a terminal that understands colours.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*stdout); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// color tells whether stdout may be coloured (https://no-color.org).
func (a *app) color() bool {
	return a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb" && isTerminal(a.Stdout)
}

// part is what the check of one source gives to a report.
type part struct {
	findings []finding.Finding
	sources  []finding.Source
}

func (p *part) add(q part) {
	p.findings = append(p.findings, q.findings...)
	p.sources = append(p.sources, q.sources...)
}

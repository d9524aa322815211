//go:build unix

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Output is what a program said and how it ended.
type Output struct {
	Args           []string
	Stdout, Stderr string
	Status         int
}

// String shows the whole of it, for a test that failed.
func (o Output) String() string {
	return fmt.Sprintf("$ %s\n%s%s[exit status %d]", strings.Join(o.Args, " "), o.Stdout, o.Stderr, o.Status)
}

// commandLimit bounds every program that a test runs to its end.
const commandLimit = 90 * time.Second

// Command runs a program to its end in the lab's clean environment, to which
// env ("NAME=value") is added. A status other than 0 is no error; not being able
// to run the program, or running into the limit of 90 s, is one.
func (l *Lab) Command(ctx context.Context, env []string, stdin string, program string, args ...string) (Output, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Env = l.environ(env...)
	cmd.Dir = l.Path("home")
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	out := Output{Args: append([]string{program}, args...), Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("lab: %s: %w\n%s", program, ctx.Err(), out)
	case errors.As(err, &exit):
		out.Status = exit.ExitCode()
		return out, nil
	case err != nil:
		return out, fmt.Errorf("lab: %w", err)
	}
	return out, nil
}

// RunKubectl runs the lab's own kubectl, of the API server's version.
func (l *Lab) RunKubectl(ctx context.Context, kubeconfig string, args ...string) (Output, error) {
	kubectl, err := l.Program(ctx, "kubectl")
	if err != nil {
		return Output{}, err
	}
	return l.Command(ctx, nil, "", kubectl, append([]string{"--kubeconfig", kubeconfig, "--request-timeout", "30s"}, args...)...)
}

// Kubecred returns the path of one of the project's own programs ("kubecred",
// "kubecred-exec", ...), built from this source tree.
func (l *Lab) Kubecred(ctx context.Context, program string) (string, error) {
	return once(l, "own "+program, func() (string, error) {
		path := l.Path("bin", program)
		if err := goBuild(ctx, filepath.Join(sourceDir(), ".."), path, "-s -w", "./cmd/"+program); err != nil {
			return "", fmt.Errorf("lab: building %s: %w", program, err)
		}
		return path, nil
	})
}

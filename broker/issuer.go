package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// NotFoundError says that there is no such program.
type NotFoundError struct {
	Issuer   string
	Searched []string
	// Hint says how to install it, "" where that is not known.
	Hint string
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("%s is not to be found: looked in %s", e.Issuer, strings.Join(e.Searched, ", "))
	if e.Hint != "" {
		s += ". " + e.Hint
	}
	return s
}

// IssuerError says how an issuer's run failed.
type IssuerError struct {
	// Issuer is the program's name as it was given.
	Issuer string
	// Status is the program's exit status where it failed by itself, and 0 where
	// it did not keep to the protocol.
	Status int
	// Problem is one line without a credential in it.
	Problem string
	// Shared tells that another process met the failure, moments ago or while
	// this one waited for it.
	Shared bool

	stderr []byte // the end of what the issuer said
	// answered: it ran to its end and what it printed was wrong.
	answered bool
}

func (e *IssuerError) Error() string {
	s := e.Issuer + " " + e.Problem
	if e.Shared {
		s += " (for another call, moments ago)"
	}
	return s
}

// installHint is for the programs that most kubeconfigs name.
func installHint(issuer string) string {
	switch strings.TrimSuffix(issuer, ".exe") {
	case "kubecred-aws":
		return "It comes with kubecred-exec, put it beside it"
	case "aws":
		return "Install the AWS CLI, or use kubecred-aws token in its place"
	case "aws-iam-authenticator":
		return "Install aws-iam-authenticator, or use kubecred-aws token in its place"
	case "gke-gcloud-auth-plugin":
		return "Install it with: gcloud components install gke-gcloud-auth-plugin"
	case "kubelogin":
		return "Two programs have this name, for Azure (https://azure.github.io/kubelogin) and for OpenID Connect (https://github.com/int128/kubelogin)"
	case "kubectl-oidc_login":
		return "Install it with: kubectl krew install oidc-login"
	case "doctl":
		return "Install doctl (https://docs.digitalocean.com/reference/doctl)"
	case "oci":
		return "Install the Oracle Cloud command line"
	case "tsh":
		return "Install Teleport's client"
	case "ecr-credential-provider":
		return "Install it from cloud-provider-aws, or use kubecred-aws get-credentials in its place"
	case "gcp-credential-provider":
		return "Install auth-provider-gcp from cloud-provider-gcp"
	case "acr-credential-provider":
		return "Install it from cloud-provider-azure"
	case "docker-credential-ecr-login":
		return "That is a docker credential helper, which speaks another protocol: use kubecred-aws get-credentials"
	}
	return ""
}

// find resolves an issuer to a path: as it is where it holds a separator, else
// beside this program, else in PATH.
func (b *Broker) find(issuer string) (string, error) {
	if issuer == "" {
		return "", errors.New("no issuer given")
	}
	if strings.ContainsRune(issuer, os.PathSeparator) || strings.ContainsRune(issuer, '/') {
		abs, err := filepath.Abs(issuer)
		if err != nil {
			return "", err
		}
		if err := executable(abs); err != nil {
			return "", &NotFoundError{Issuer: issuer, Searched: []string{abs + " (" + err.Error() + ")"}}
		}
		return abs, nil
	}
	var searched []string
	if b.Beside != nil {
		if dir := b.Beside(); dir != "" {
			searched = append(searched, dir)
		}
	}
	for _, dir := range searched {
		for _, name := range programNames(issuer) {
			if p := filepath.Join(dir, name); executable(p) == nil {
				return p, nil
			}
		}
	}
	if p := lookPath(issuer, getenv(b.Environ, "PATH")); p != "" {
		return p, nil
	}
	for _, dir := range filepath.SplitList(getenv(b.Environ, "PATH")) {
		if filepath.IsAbs(dir) {
			searched = append(searched, dir)
		}
	}
	if len(searched) == 0 {
		searched = []string{"PATH, which is empty"}
	}
	return "", &NotFoundError{Issuer: issuer, Searched: searched, Hint: installHint(issuer)}
}

// lookPath looks a program up in the absolute directories of a PATH.
func lookPath(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // as os/exec does, never from the current directory
		}
		for _, n := range programNames(name) {
			if p := filepath.Join(dir, n); executable(p) == nil {
				return p
			}
		}
	}
	return ""
}

// run is one run of an issuer.
type run struct {
	path        string
	name        string // as it was given
	args        []string
	env         []string
	stdin       []byte // nil: nothing, or the person where interactive
	interactive bool
	limit       time.Duration
	// sweep: what the issuer has started and not ended, ends with it.
	sweep bool
}

// maxAnswer bounds what an issuer prints.
const maxAnswer = 1 << 20

// errAnswerTooLarge ends the copying of a too large answer.
var errAnswerTooLarge = errors.New("answer too large")

// drainWait is how long a child of the issuer may hold its output open after it
// has ended.
const drainWait = time.Second

// issue runs the issuer and returns what it printed, and the end of what it
// wrote to stderr. The error is an *IssuerError, or that of ctx.
func (b *Broker) issue(ctx context.Context, r run) (stdout, stderr []byte, err error) {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	out := &limitedBuffer{stop: cancel}
	errs := &tail{w: b.Stderr}
	e, done := ended{}, false
	if r.stdin != nil && !r.interactive {
		e, done = spawn(limited, r, out, errs)
	}
	if !done {
		e = b.command(limited, r, out, errs)
	}
	return out.data, errs.kept, b.judge(ctx, limited, r, out, e)
}

// ended is how a process ended.
type ended struct {
	status int    // exit status
	how    string // in the place of a status, where a signal did it
	err    error  // it could not be run
}

// command runs the issuer with package os/exec.
func (b *Broker) command(limited context.Context, r run, out *limitedBuffer, errs *tail) ended {
	cmd := exec.CommandContext(limited, r.path, r.args...)
	cmd.Env = r.env
	cmd.Stdout = out
	switch {
	case r.stdin != nil:
		cmd.Stdin = bytes.NewReader(r.stdin)
	case r.interactive && b.Stdin != nil:
		cmd.Stdin = b.Stdin
	}
	if r.interactive && b.Stderr != nil {
		// The person's own terminal, so that prompts look as they should.
		cmd.Stderr = b.Stderr
	} else {
		cmd.Stderr = errs
	}
	sweep := prepare(cmd, r.interactive)
	cmd.WaitDelay = drainWait
	err := cmd.Run()
	if cmd.Process != nil && (r.sweep || limited.Err() != nil) {
		sweep()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return ended{status: exit.ExitCode()}
	case errors.As(err, &exit):
		return ended{how: exit.ProcessState.String()}
	case errors.Is(err, exec.ErrWaitDelay):
		return ended{} // a child of it holds stdout; what it printed is here
	}
	return ended{err: err}
}

// judge turns the end of a run into an error.
func (b *Broker) judge(ctx, limited context.Context, r run, out *limitedBuffer, e ended) error {
	fail := func(status int, format string, args ...any) error {
		return &IssuerError{Issuer: r.name, Status: status, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case out.over:
		return &IssuerError{Issuer: r.name, Problem: fmt.Sprintf("printed more than %d KiB, which is no credential", maxAnswer>>10), answered: true}
	case limited.Err() != nil:
		return fail(0, "gave no answer within %s and was ended; KUBECRED_TIMEOUT sets another bound", r.limit)
	case e.status > 0:
		return fail(e.status, "failed with exit status %d", e.status)
	case e.how != "":
		return fail(0, "was ended: %s", e.how)
	case e.err != nil:
		return fail(0, "could not be run: %s", plainError(e.err))
	}
	return nil
}

// limitedBuffer keeps what is printed up to maxAnswer, and then ends the printer.
type limitedBuffer struct {
	data []byte
	over bool
	stop func()
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if len(l.data)+len(p) > maxAnswer {
		l.over = true
		l.stop()
		return 0, errAnswerTooLarge
	}
	l.data = append(l.data, p...)
	return len(p), nil
}

// tail passes everything on and keeps the end of it, for those who wait for the
// same answer and would not see why it failed.
type tail struct {
	w    *os.File
	kept []byte
}

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	if t.w != nil {
		_, _ = t.w.Write(p) // a closed stderr is no reason to fail
	}
	return len(p), nil
}

// public is a command line for people: values of flags that may be secret are
// left out.
func public(issuer string, args []string) string {
	words := []string{issuer}
	hide := false
	for _, arg := range args {
		switch name, _, isSet := strings.Cut(arg, "="); {
		case hide:
			hide = false
			words = append(words, "...")
		case strings.HasPrefix(arg, "-") && isSet && secretName(name):
			words = append(words, name+"=...")
		case strings.HasPrefix(arg, "-") && secretName(arg):
			hide = !strings.HasSuffix(arg, "-only")
			words = append(words, arg)
		case isSet && secretName(name):
			words = append(words, name+"=...")
		default:
			words = append(words, arg)
		}
	}
	s := oneLine(strings.Join(words, " "))
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return s
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"secret", "password", "passwd", "token", "passphrase", "private-key", "api-key", "apikey", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

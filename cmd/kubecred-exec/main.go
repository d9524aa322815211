// Kubecred-exec is what kubectl and the kubelet run in the place of a credential
// plugin. It answers from a cache on disk, runs the plugin once however many ask
// at the same time, and translates between the versions of the protocols.
//
// It is run many times a minute, so it links the standard library and a file
// lock only; a test counts what it links.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/credapi"
)

func main() { os.Exit(run(os.Args[1:])) }

// Exit statuses of its own; an issuer's status is passed on as it is.
const (
	exitOK     = 0
	exitFailed = 2
)

func run(args []string) int {
	environ := os.Environ()
	o, err := parse(args, environ)
	if err != nil {
		say(err.Error())
		return exitFailed
	}
	if o.text != "" {
		_, err := os.Stdout.WriteString(o.text)
		return status(err)
	}
	b := broker.New(o.dir, environ)
	b.Notice = say
	b.Timeout, b.LoginTimeout, b.Refusals, b.Key = o.timeout, o.loginTimeout, o.refusals, o.key
	b.Beside = beside
	if o.warning != "" {
		b.Notice(o.warning)
	}
	ask, err := question(b, o)
	if err != nil {
		say(err.Error())
		return status(err)
	}
	out, ok := ask.Cached()
	if !ok {
		ctx := untilSignal()
		if out, err = ask.Issue(ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			say(err.Error())
			return status(err)
		}
	}
	if _, err := os.Stdout.Write(out); err != nil {
		say("could not write the answer: " + err.Error())
		return exitFailed
	}
	return exitOK
}

// question reads what the client asks.
func question(b *broker.Broker, o *options) (*broker.Ask, error) {
	if o.road == "client" {
		return b.Client(os.Getenv(credapi.ExecInfoEnv), o.issuer, o.args)
	}
	request, err := io.ReadAll(io.LimitReader(os.Stdin, credapi.MaxDocument+1))
	if err != nil {
		return nil, errors.New("the request on stdin cannot be read: " + err.Error())
	}
	return b.Image(request, o.issuer, o.args)
}

// status is the exit status for an error: the issuer's own where it has one.
func status(err error) int {
	var failed *broker.IssuerError
	var ended signalError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &failed) && failed.Status != 0:
		return failed.Status
	case errors.As(err, &ended):
		return 128 + int(ended)
	}
	return exitFailed
}

// signalError is the signal that ended the program.
type signalError syscall.Signal

func (s signalError) Error() string { return "ended by signal: " + syscall.Signal(s).String() }

// untilSignal returns a context that the first signal ends. The second one ends
// the program as it always does.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { // which takes as long as looking for the answer
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		if s, ok := (<-signals).(syscall.Signal); ok {
			cancel(signalError(s))
		}
		signal.Stop(signals)
	}()
	return ctx
}

// say writes one line to stderr.
func say(s string) {
	_, _ = os.Stderr.WriteString("kubecred-exec: " + s + "\n")
}

// beside is the directory of this program, links followed.
func beside() string {
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	if runtime.GOOS != "linux" { // where the system tells the real name
		if real, err := filepath.EvalSymlinks(name); err == nil {
			name = real
		}
	}
	return filepath.Dir(name)
}

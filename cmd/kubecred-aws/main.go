// Kubecred-aws gets credentials out of AWS for Kubernetes: tokens for the API
// server of an EKS cluster, and passwords of Amazon ECR for the kubelet. It is run
// by kubecred-exec where its cache has nothing, or by a client directly.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awscommand"
	"github.com/kubecred/kubecred/internal/awsissuer"
	_ "github.com/kubecred/kubecred/internal/awsquick" // answers plain questions before the SDK is initialized
	"github.com/kubecred/kubecred/internal/awsquickecr"
	"github.com/kubecred/kubecred/internal/release"
)

// Exit statuses.
const (
	exitOK     = 0
	exitLater  = 1 // what AWS answers now it may not answer later
	exitFailed = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], system())
	stop()
	os.Exit(code)
}

// world is the outside as the program sees it. Tests make one of their own.
type world struct {
	stdin          *os.File
	input          io.Reader // stdin as a stream
	stdout, stderr io.Writer
	getenv         func(string) string
	home           string
	now            func() time.Time
	left           awsquickecr.Left // what was done before this began
}

func system() world {
	home := awsquickecr.Home()
	left := awsquickecr.Taken()
	input := io.MultiReader(bytes.NewReader(left.Input), os.Stdin)
	return world{stdin: os.Stdin, input: input, left: left, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, home: home, now: time.Now}
}

func run(ctx context.Context, args []string, w world) int {
	o, err := awscommand.Parse(args)
	if err == nil {
		switch o.Command {
		case awscommand.Help:
			_, err = io.WriteString(w.stdout, awscommand.Usage)
		case awscommand.Version:
			_, err = fmt.Fprintf(w.stdout, "kubecred-aws %s\n", release.Version())
		case awscommand.Token:
			err = token(ctx, o, w)
		case awscommand.Password:
			err = password(ctx, o, w)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(w.stderr, "kubecred-aws: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		var ours *awsissuer.Error
		if errors.As(err, &ours) && ours.Transient {
			return exitLater
		}
		return exitFailed
	}
	return exitOK
}

// Bounds of a whole run.
const (
	batchTimeout = 40 * time.Second
	loginTimeout = 5 * time.Minute
)

// token prints an ExecCredential with an EKS token, or the token alone.
func token(ctx context.Context, o awscommand.Options, w world) error {
	ask := credapi.ExecRequest{APIVersion: credapi.ExecV1Beta1, Interactive: w.stdin != nil && term.IsTerminal(int(w.stdin.Fd()))}
	if info := w.getenv(credapi.ExecInfoEnv); info != "" {
		var err error
		if ask, err = credapi.ParseExecInfo([]byte(info)); err != nil {
			return fmt.Errorf("%s: %w", credapi.ExecInfoEnv, err)
		}
	}
	limit := batchTimeout
	if ask.Interactive {
		limit = loginTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t, err := awsissuer.EKSToken(ctx, w.aws(ask.Interactive), awsissuer.TokenRequest{
		Source: source(o), ClusterName: o.ClusterName, ClusterID: o.ClusterID,
	})
	if err != nil {
		return err
	}
	if o.Cache {
		fmt.Fprintln(w.stderr, "kubecred-aws: --cache keeps nothing here: put 'kubecred-exec client --' before the command, which keeps the token itself")
	}
	if t.Warning != "" {
		fmt.Fprintf(w.stderr, "kubecred-aws: %s\n", t.Warning)
	}
	if o.TokenOnly {
		_, err = fmt.Fprintln(w.stdout, t.Token)
		return err
	}
	c := credapi.ExecCredential{Token: t.Token, Expiration: t.Expires}
	_, err = fmt.Fprintf(w.stdout, "%s\n", c.Encode(ask.APIVersion))
	return err
}

func source(o awscommand.Options) awsissuer.Source {
	return awsissuer.Source{
		Profile: o.Profile, Region: o.Region, Roles: o.Roles, SessionName: o.SessionName, ExternalID: o.ExternalID,
		ForwardSession: o.ForwardSession,
	}
}

// aws is the world for package awsissuer.
func (w world) aws(interactive bool) awsissuer.World {
	out := awsissuer.World{Getenv: w.getenv, Home: w.home, Now: w.now}
	if interactive && w.stdin != nil {
		out.AskMFA = w.askMFA
	}
	return out
}

// askMFA asks on stderr, for stdout is the protocol's, and reads a line of stdin.
func (w world) askMFA(ctx context.Context, serial string) (string, error) {
	what := "MFA code"
	if serial != "" {
		what += " for " + serial
	}
	fmt.Fprintf(w.stderr, "%s: ", what)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1) // the read ends with the process where nobody types
	go func() {
		line, err := bufio.NewReader(w.stdin).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		code := strings.TrimSpace(a.line)
		if code == "" {
			return "", errors.Join(errors.New("no MFA code was typed"), a.err)
		}
		return code, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

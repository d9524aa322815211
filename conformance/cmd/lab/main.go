//go:build unix

// Lab runs a real Kubernetes control plane on this machine for people who want
// to see what happens to a credential.
//
//	lab build [PROGRAM]   build the programs that it runs, once
//	lab up [-port N]      start one and keep it until Ctrl-C; -webhook F names a
//	                      token webhook's kubeconfig
//	lab status            say which labs run on this machine, and what dead ones left
//	lab down [ID]         stop them, or that one
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

const usage = `usage: lab up [-port N] [-webhook FILE] | status | down [ID] | build [PROGRAM...]

  up       start a control plane and keep it until Ctrl-C
  status   list the labs of this machine, and what killed ones left behind
  down     stop every lab, or the one with this ID
  build    build every program that a lab may run, and those that the tests
           compare with, or build those named and print their paths
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	var err error
	switch args[0] {
	case "up":
		err = up(ctx, args[1:])
	case "status":
		err = status(os.Stdout)
	case "down":
		err = down(ctx, args[1:])
	case "build":
		err = build(ctx, args[1:])
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "lab: unknown command %q\n%s", args[0], usage)
		return 2
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func build(ctx context.Context, names []string) error {
	show := len(names) > 0
	if !show {
		names = lab.Programs()
	}
	for _, name := range names {
		path, err := lab.Program(ctx, name, os.Stderr)
		if err != nil {
			return err
		}
		if show {
			fmt.Println(path)
		}
	}
	return nil
}

func status(w io.Writer) error {
	records, err := lab.List()
	if err != nil {
		return err
	}
	if len(records) == 0 {
		fmt.Fprintln(w, "no lab")
	}
	for _, r := range records {
		state := fmt.Sprintf("running since %s, process %d", r.Started.Format(time.DateTime), r.PID)
		if !r.Alive {
			state = "was killed; lab down removes what is left"
		}
		fmt.Fprintf(w, "%s  %s\n", r.ID, state)
		if r.URL == "" {
			fmt.Fprintf(w, "  directory   %s\n", r.Dir)
			continue // it never came up, or is about to
		}
		fmt.Fprintf(w, "  server      %s\n  kubeconfig  %s\n  audit log   %s\n", r.URL, r.Kubeconfig, r.AuditLog)
	}
	return nil
}

func down(ctx context.Context, ids []string) error {
	records, err := lab.List()
	if err != nil {
		return err
	}
	found := 0
	for _, r := range records {
		if len(ids) > 0 && r.ID != ids[0] {
			continue
		}
		found++
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		err := r.Stop(ctx)
		cancel()
		if err != nil {
			return err
		}
		fmt.Printf("%s is down\n", r.ID)
	}
	if found == 0 && len(ids) > 0 {
		return fmt.Errorf("lab: no lab %s; lab status lists them", ids[0])
	}
	if found == 0 {
		fmt.Println("no lab")
	}
	return nil
}

//go:build unix

// Guard runs one program of the lab and makes sure that it does not outlive the
// lab, however that one ends.
//
//	guard [-namespaces] PROGRAM ARGS...
//
// With -namespaces the program gets mounts and a process tree of its own (Linux,
// as root), and is the tree's first process.
//
// Its stdin is a pipe whose other end only the lab holds. When that end closes,
// because the lab said so or because it was killed, guard stops the program:
// SIGTERM, a grace of some seconds, SIGKILL to what is left of its process
// group. Where guard itself is killed, the kernel kills the program (Linux).
// Guard's exit status is the program's.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// grace is how long a program may take to stop by itself.
const grace = 3 * time.Second

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// The kernel's promise to kill the program holds for the thread that
	// started it: keep that thread.
	runtime.LockOSThread()
	// A Ctrl-C in the terminal is the lab's to answer.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	namespaces := len(args) > 0 && args[0] == "-namespaces"
	if namespaces {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "guard: no program given")
		return 2
	}
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(gone)
	}()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = boundToParent(namespaces)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "guard: %v\n", err)
		return 2
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	group := -cmd.Process.Pid
	var err error
	select {
	case err = <-done:
	case <-gone:
		err = stop(group, done)
	case <-asked:
		err = stop(group, done)
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // whatever the program left behind
	return status(err)
}

func stop(group int, done <-chan error) error {
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		_ = syscall.Kill(group, syscall.SIGKILL)
		return <-done
	}
}

func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		return 1
	}
}

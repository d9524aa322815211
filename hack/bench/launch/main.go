//go:build unix

// Launch runs a command and writes the nanoseconds it took, its peak resident
// memory in bytes and its exit status to the file named first. It is a program
// of its own so that each run has a parent of its own, and because the kernel
// counts the memory of whoever starts a program into what it reports of it
// afterwards (ru_maxrss): this one is small.
//
// With -peak first, which Linux alone has, the memory is exact, even for a
// program that is smaller than this one; the time then means nothing, for the
// command is traced.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

func main() {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "-nothing" {
		return
	}
	measure := timed
	if len(args) > 0 && args[0] == "-peak" {
		measure, args = traced, args[1:]
	}
	if err := run(args, measure); err != nil {
		fmt.Fprintln(os.Stderr, "launch:", err)
		os.Exit(1)
	}
}

// outcome is what a run came to.
type outcome struct {
	took   time.Duration
	peak   int64 // bytes
	status int
}

func run(args []string, measure func(*exec.Cmd) (outcome, error)) error {
	if len(args) < 2 {
		return errors.New("want [-peak], a result file, a command and its arguments")
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	o, err := measure(cmd)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], fmt.Appendf(nil, "%d %d %d\n", o.took, o.peak, o.status), 0o600)
}

func timed(cmd *exec.Cmd) (outcome, error) {
	// What the first process that a program starts costs its parent alone is no part
	// of what is measured: package os tries what the kernel can do, and the code and
	// the threads that it takes are met for the first time.
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	if err := exec.Command(self, "-nothing").Run(); err != nil {
		return outcome{}, err
	}
	start := time.Now()
	err = cmd.Run()
	took := time.Since(start)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // KiB, but bytes on macOS
		peak *= 1024
	}
	return outcome{took, peak, cmd.ProcessState.ExitCode()}, nil
}

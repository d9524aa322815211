//go:build unix

// Launch runs a command and writes the nanoseconds it took, its peak resident
// memory in bytes and its exit status to the file named first. It is a program
// of its own because the kernel counts the memory of whoever forks into the
// peak of what is run (getrusage(2)): this one is small.
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
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "launch:", err)
		os.Exit(1)
	}
}

func run(result string, argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // KiB, but bytes on macOS
		peak *= 1024
	}
	return os.WriteFile(result, fmt.Appendf(nil, "%d %d %d\n", took, peak, cmd.ProcessState.ExitCode()), 0o600)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// awakeVar has this program do nothing but keep the processor of that number
// awake.
const awakeVar = "AUTHBENCH_AWAKE"

// keepAwake keeps the processors from being halted, with a process of idle
// priority for each, which runs only while nobody else wants the processor. What
// it returns ends them.
func keepAwake() (stop func(), err error) {
	var processors unix.CPUSet
	if err := unix.SchedGetaffinity(0, &processors); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var running []*exec.Cmd
	stop = func() {
		for _, cmd := range running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for n := range len(processors) * 64 {
		if !processors.IsSet(n) {
			continue
		}
		cmd := exec.Command(self)
		cmd.Env, cmd.Stderr = []string{awakeVar + "=" + strconv.Itoa(n), "GOMAXPROCS=1"}, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			stop()
			return nil, err
		}
		running = append(running, cmd)
	}
	return stop, nil
}

// stayAwake is what such a process does; it returns at once in all others.
func stayAwake() error {
	text := os.Getenv(awakeVar)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s: %w", awakeVar, err)
	}
	var one unix.CPUSet
	one.Set(n)
	runtime.LockOSThread()
	err = errors.Join(
		unix.SchedSetaffinity(0, &one),
		unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0),
	)
	if err != nil {
		return fmt.Errorf("keeping processor %d awake: %w", n, err)
	}
	var turns atomic.Uint64
	for {
		turns.Add(1)
	}
}

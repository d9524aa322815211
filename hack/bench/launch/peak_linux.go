package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// traceExit is PTRACE_O_TRACEEXIT: stop once more when the program is about to be
// gone, while the kernel still knows its memory.
const traceExit = 0x40

// traced runs a command to its end under trace, and reads the most memory that it
// had in its last moment (VmHWM, proc_pid_status(5)): that of the program alone,
// not of those it started, nor of this one.
func traced(cmd *exec.Cmd) (outcome, error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil { // stopped at its exec
		return outcome{}, err
	}
	if err := syscall.PtraceSetOptions(pid, traceExit); err != nil {
		return outcome{}, err
	}
	var peak int64
	for signal := 0; ; {
		if err := syscall.PtraceCont(pid, signal); err != nil {
			return outcome{}, err
		}
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			return outcome{}, err
		}
		signal = 0
		switch {
		case status.Exited():
			if peak == 0 {
				return outcome{}, errors.New("the kernel did not say how much memory it took")
			}
			return outcome{peak: peak, status: status.ExitStatus()}, nil
		case status.Signaled():
			return outcome{}, errors.New("ended by " + status.Signal().String())
		case status.Stopped() && status.StopSignal() == syscall.SIGTRAP:
			peak = max(peak, highWater(pid))
		case status.Stopped():
			signal = int(status.StopSignal())
		}
	}
}

// highWater returns the peak memory of a process in bytes, 0 where it is unknown.
func highWater(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

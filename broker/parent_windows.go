package broker

import (
	"os"
	"syscall"
)

// parentProcess is the process that started this one, with its creation time.
func parentProcess() process {
	p := process{pid: os.Getppid()}
	h, err := syscall.OpenProcess(syscall.PROCESS_QUERY_INFORMATION, false, uint32(p.pid))
	if err != nil {
		return p
	}
	defer func() { _ = syscall.CloseHandle(h) }()
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(h, &created, &exited, &kernel, &user) == nil {
		p.start = uint64(created.Nanoseconds())
	}
	return p
}

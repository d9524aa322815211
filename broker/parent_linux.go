package broker

import (
	"bytes"
	"os"
	"strconv"
)

// parentProcess is the process that started this one. Its start time is field 22
// of /proc/PID/stat, in clock ticks since boot (proc_pid_stat(5)).
func parentProcess() process {
	p := process{pid: os.Getppid()}
	f, err := openPlain("/proc/"+strconv.Itoa(p.pid)+"/stat", os.O_RDONLY, 0)
	if err != nil {
		return p
	}
	defer f.close()
	data := make([]byte, 1024) // more than the kernel writes
	n, _ := f.ReadAt(data, 0)
	data = data[:n]
	// The second field, the program's name in parentheses, may hold anything.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) > 19 {
		p.start, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	}
	return p
}

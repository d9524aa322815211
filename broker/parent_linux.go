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
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
	if err != nil {
		return p
	}
	// The second field, the program's name in parentheses, may hold anything.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) > 19 {
		p.start, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	}
	return p
}

//go:build !linux && !windows

package broker

import "os"

// parentProcess is the process that started this one. The standard library does
// not tell its start time here, so that the process id alone has to do; the age
// of a memory is bounded by the life of the credential it is about.
func parentProcess() process { return process{pid: os.Getppid()} }

package main

import "syscall"

// boundToParent puts the program into a process group of its own and has the
// kernel kill it when guard dies.
func boundToParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

package main

import "syscall"

// boundToParent puts the program into a process group of its own and has the
// kernel kill it when guard dies.
func boundToParent(namespaces bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if namespaces {
		attr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	}
	return attr
}

//go:build unix && !linux

package main

import "syscall"

// boundToParent puts the program into a process group of its own.
func boundToParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

//go:build unix && !linux

package main

import "syscall"

// boundToParent puts the program into a process group of its own.
func boundToParent(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

//go:build unix

package probe

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a plugin a process group of its own, so that its children end
// with it. What it returns ends those that are left.
func ownGroup(cmd *exec.Cmd) (sweep func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	return func() { _ = kill() }
}

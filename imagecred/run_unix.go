//go:build unix

package imagecred

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the plugin and all it starts one group, which ends with
// the context.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endChildren ends what a plugin left behind.
func endChildren(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // all gone, as a rule
	}
}

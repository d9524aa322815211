package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// tryKernel finds out whether namespaces and control groups can be made here.
func tryKernel() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("a node needs mount and process namespaces, and this kernel refuses them here (%w): run on a machine or in a container with CAP_SYS_ADMIN", err)
	}
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		hierarchies = append(hierarchies, "/sys/fs/cgroup/cgroup.procs")
	}
	if len(hierarchies) == 0 {
		return fmt.Errorf("a node needs control groups, and none are mounted below /sys/fs/cgroup")
	}
	// A name of its own each time: the tests of one process try at the same time.
	dir, err := os.MkdirTemp(filepath.Dir(hierarchies[0]), "kubecred-lab-try-")
	if err != nil {
		return fmt.Errorf("a node needs control groups that it may write (%w)", err)
	}
	return os.Remove(dir)
}

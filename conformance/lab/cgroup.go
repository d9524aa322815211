//go:build unix

package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubecred/kubecred/conformance/wait"
)

// taskDir is where containerd keeps a folder for each running container, below
// a node's directory, named by the container.
const taskDir = "state/io.containerd.runtime.v2.task/k8s.io"

// removeCgroups removes the control groups of a node's containers, which a node
// that was killed leaves behind: /k8s.io/CONTAINER in every hierarchy (without
// QoS groups the kubelet gives its runtime no other parent). Their processes are
// gone, or about to go. The parent goes where no other node is using it.
func removeCgroups(nodeDir string) error {
	tasks, err := os.ReadDir(filepath.Join(nodeDir, taskDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	var errs []error
	for _, pattern := range []string{"/sys/fs/cgroup/*/k8s.io", "/sys/fs/cgroup/k8s.io"} {
		parents, _ := filepath.Glob(pattern)
		for _, parent := range parents {
			for _, task := range tasks {
				errs = append(errs, removeCgroup(filepath.Join(parent, task.Name())))
			}
			_ = os.Remove(parent) // fails where it has children
		}
	}
	return errors.Join(errs...)
}

// removeCgroup removes a control group and those below it, as soon as the
// kernel has taken their last process out.
func removeCgroup(root string) error {
	var err error
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = wait.Until(ctx, 100*time.Millisecond, func() bool {
		var dirs []string
		_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, name)
			}
			return nil
		})
		err = nil
		for _, dir := range slices.Backward(dirs) {
			if e := os.Remove(dir); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = fmt.Errorf("lab: control group %s is left: %w", dir, e)
			}
		}
		return err == nil
	})
	return err
}

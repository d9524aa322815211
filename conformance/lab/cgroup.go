//go:build unix

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// cgroupName is the control group below which all containers of a lab run.
func cgroupName(id string) string { return "kubecred-lab-" + id }

// removeCgroups removes the control groups of a lab, in every hierarchy. Their
// processes are gone by then.
func removeCgroups(id string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + cgroupName(id))
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range append(roots, "/sys/fs/cgroup/"+cgroupName(id)) {
		var dirs []string
		_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, name)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("lab: control group %s is left: %w", dir, err))
			}
		}
	}
	return errors.Join(errs...)
}

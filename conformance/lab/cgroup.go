//go:build unix

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cgroupName begins the names of the control groups below which the containers
// of a lab's nodes run.
func cgroupName(id string) string { return "kubecred-lab-" + id }

// removeCgroups removes control groups whose names begin with name, and all below
// them, in every hierarchy. Their processes are gone, or about to go.
func removeCgroups(name string) error {
	var err error
	for range 50 {
		if err = tryRemoveCgroups(name); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func tryRemoveCgroups(name string) error {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/" + name + "*")
	v2, _ := filepath.Glob("/sys/fs/cgroup/" + name + "*")
	var errs []error
	for _, root := range append(v1, v2...) {
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

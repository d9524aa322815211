package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kubecred/kubecred/conformance/nodespec"
)

// mounts changes this mount namespace only.
func mounts(s nodespec.Spec) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NOEXEC|syscall.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, dir := range s.Tmpfs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size=256m"); err != nil {
			return fmt.Errorf("mounting an empty %s: %w", dir, err)
		}
	}
	for dir, from := range s.Binds {
		if err := syscall.Mount(from, dir, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	for _, name := range s.Sysctls {
		value, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not every kernel has each
		}
		if err != nil {
			return err
		}
		file := filepath.Join(s.Dir, "sysctl"+strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, value, 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, name, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("standing in for %s: %w", name, err)
		}
	}
	return nil
}

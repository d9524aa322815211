//go:build unix

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// RestartKubelet ends the node's kubelet, as a restart of its service does, and
// returns when the next one answers. containerd and what is on the disk stay;
// what the kubelet knew is gone. A kubelet that does not come up again is an
// error which holds its own words.
func (n *Node) RestartKubelet(ctx context.Context) error {
	old, err := n.kubelet()
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.path("restart"), nil, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
		return fmt.Errorf("lab: ending the kubelet of %s: %w", n.Name, err)
	}
	err = n.process.waitFor(ctx, time.Minute, func(ctx context.Context) error {
		pid, err := n.kubelet()
		switch {
		case err != nil:
			return err
		case pid == old:
			return errors.New("the kubelet has not ended")
		}
		return get(ctx, n.client(), n.url("/healthz"))
	})
	if err != nil {
		return n.explain(err)
	}
	return nil
}

// kubelet finds the process of this node's kubelet, which alone was started with
// this node's folder.
func (n *Node) kubelet() (pid int, err error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	mine := []byte("\x00--root-dir\x00" + n.path("kubelet") + "\x00")
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, mine) {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, fmt.Errorf("lab: the kubelet of %s is not running", n.Name)
}

package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubecred/kubecred/credapi"
)

// What a provider leaves behind ends with it, which a kubelet leaves running.
func TestImageEndsChildren(t *testing.T) {
	w := newWorld(t)
	pidFile := filepath.Join(w.home, "pid")
	response(t, w.pull(credapi.ProviderRequest{Image: "a.io/x"}, "provider=Registry", "mode=fork", "pidfile="+pidFile))
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil || pid < 2 {
		t.Fatalf("%q %v", data, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return // dead, and whoever adopted it has looked
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// A process's descriptor becomes readable when it ends (pidfd_open(2)).
	ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(ended, 5000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(ended, 5000)
	}
	if n != 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // the test's own child's child
		t.Fatalf("the child is left running: %v", err)
	}
}

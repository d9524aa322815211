//go:build unix

package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

// TestKilledLab kills a lab as hard as it can be killed, with all that was
// planted, and wants nothing left: no process, no control group, and after
// `lab down` no file. Another lab runs beside it all the time, this one.
func TestKilledLab(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	program := filepath.Join(t.TempDir(), "lab")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../cmd/lab").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "up")
	cmd.Stderr = &said
	stdout := must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), "stdout")))
	defer stdout.Close()
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	waitFor(t, ctx, "the lab is up", func() bool {
		data, _ := os.ReadFile(stdout.Name())
		return bytes.Contains(data, []byte("Ctrl-C ends the lab"))
	})
	find := func() *lab.Record {
		for _, r := range must[[]lab.Record](t)(lab.List()) {
			if r.PID == cmd.Process.Pid {
				return &r
			}
		}
		return nil
	}
	record := find()
	if record == nil || !record.Alive {
		t.Fatalf("lab.List does not know the lab: %+v", record)
	}
	var tasks []string
	if lab.NodeSupport() == nil {
		waitFor(t, ctx, "the node runs a container", func() bool {
			tasks, _ = filepath.Glob(filepath.Join(record.Dir, "node-*/state/io.containerd.runtime.v2.task/k8s.io/*"))
			return len(tasks) > 0
		})
	}
	if len(processesOf(record.Dir)) < 3 {
		t.Errorf("processes: %q", processesOf(record.Dir))
	}

	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waitFor(t, ctx, "its processes are gone", func() bool { return len(processesOf(record.Dir)) == 0 })
	// A lab that starts meanwhile, another test's, may have swept it up already.
	if left := find(); left != nil {
		if left.Alive {
			t.Errorf("lab.List takes the killed lab for alive: %+v", left)
		}
		out, _ := exec.CommandContext(ctx, program, "down", record.ID).CombinedOutput()
		if !strings.Contains(string(out), record.ID+" is down") && !strings.Contains(string(out), "no lab "+record.ID) {
			t.Errorf("lab down: %s", out)
		}
	}
	waitFor(t, ctx, "its record is gone", func() bool { return find() == nil })
	if _, err := os.Stat(record.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is left (%v)", record.Dir, err)
	}
	for _, task := range tasks {
		left, _ := filepath.Glob("/sys/fs/cgroup/*/k8s.io/" + filepath.Base(task))
		if len(left) > 0 {
			t.Errorf("control groups are left: %s", left)
		}
	}
	mounts := must[[]byte](t)(os.ReadFile("/proc/self/mounts"))
	if bytes.Contains(mounts, []byte(record.Dir)) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	if t.Failed() {
		t.Log(said.String())
	}
}

// processesOf returns the command lines of processes that name a directory.
func processesOf(dir string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		if text := string(bytes.ReplaceAll(data, []byte{0}, []byte{' '})); strings.Contains(text, dir) {
			found = append(found, text)
		}
	}
	return found
}

// TestStartFaults wants one clear line for what keeps a lab from starting.
func TestStartFaults(t *testing.T) {
	ctx := within(t, time.Minute)
	t.Setenv("TMPDIR", t.TempDir())
	ln := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	_, err := lab.Start(ctx, lab.Options{Port: port})
	if err == nil {
		t.Fatal("a lab started on a port that is taken")
	}
	wantText(t, err.Error(), "in use: leave the port out and the lab takes a free one")

	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "nowhere"))
	if _, err := lab.Start(ctx, lab.Options{}); err == nil {
		t.Fatal("a lab started without a directory")
	} else {
		wantText(t, err.Error(), "lab: no directory of its own", "no such file or directory")
	}

	t.Setenv("PATH", "/nowhere")
	t.Setenv("TMPDIR", "")
	if err := lab.NodeSupport(); err == nil {
		t.Error("a node without containerd is supported")
	} else if os.Geteuid() == 0 {
		wantText(t, err.Error(), "make e2e-deps, or apt-get install")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := lab.Start(gone, lab.Options{}); err == nil {
		t.Error("a lab started after Ctrl-C")
	}
}

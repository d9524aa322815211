// Nodeinit is the first process of a node's namespaces: it lays out the mounts
// that a kubelet wants to itself, then runs the node's programs. When it ends,
// the kernel ends every process of the namespaces and unmounts what is only
// theirs, so nothing of the node is left.
//
//	nodeinit SPEC.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubecred/kubecred/conformance/nodespec"
	"github.com/kubecred/kubecred/conformance/wait"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: nodeinit SPEC.json")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "nodeinit:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var s nodespec.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("not in a process namespace of its own (process %d)", os.Getpid())
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	if err := mounts(s); err != nil {
		return err
	}
	n := &node{}
	for _, p := range s.Programs {
		if err := n.start(p); err != nil {
			return err
		}
	}
	return n.wait(asked)
}

// node is what runs here. As process 1, nodeinit is the parent of every orphan,
// so it waits for any child and not for one of its own only.
type node struct{ running map[int]nodespec.Program }

func (n *node) start(p nodespec.Program) error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	path, err := exec.LookPath(p.Args[0])
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	child, err := os.StartProcess(path, p.Args, &os.ProcAttr{
		Env: append(os.Environ(), p.Env...), Dir: "/", Files: []*os.File{null, log, log},
	})
	if err != nil {
		return err
	}
	name := nameOf(p)
	if n.running == nil {
		n.running = map[int]nodespec.Program{}
	}
	n.running[child.Pid] = p
	limit := time.Now().Add(time.Minute)
	for {
		if ended, status := n.reap(syscall.WNOHANG); ended.Args != nil {
			if nameOf(ended) == name && p.Once && status.ExitStatus() == 0 {
				return nil
			}
			return fmt.Errorf("%s ended (%s)", nameOf(ended), describe(status))
		}
		if !p.Once {
			if p.Ready == "" {
				return nil
			}
			if _, err := os.Stat(p.Ready); err == nil {
				return nil
			}
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s was not ready within a minute", name)
		}
		wait.For(context.Background(), 10*time.Millisecond)
	}
}

func nameOf(p nodespec.Program) string {
	if len(p.Args) == 0 {
		return "every program"
	}
	return filepath.Base(p.Args[0])
}

// reap collects dead children until it meets one of the node's programs, which
// it returns, or there is none to collect.
func (n *node) reap(options int) (nodespec.Program, syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, options, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return nodespec.Program{}, status
		}
		if p, ok := n.running[pid]; ok {
			delete(n.running, pid)
			return p, status
		}
	}
}

// wait returns when a program ends that is not to be started again, which is an
// error, or when asked to stop.
func (n *node) wait(asked <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() {
		for {
			p, status := n.reap(0)
			if p.Restart == "" || os.Remove(p.Restart) != nil {
				ended <- fmt.Errorf("%s ended (%s)", nameOf(p), describe(status))
				return
			}
			if err := n.start(p); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-asked:
		return nil // the rest is the kernel's
	}
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "signal " + s.Signal().String()
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

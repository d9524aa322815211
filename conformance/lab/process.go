//go:build unix

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program of the lab, run by guard (see cmd/guard).
type process struct {
	name     string
	log      string // file with its stdout and stderr
	pid      int    // guard's
	lifeline *os.File
	done     chan struct{}
	err      error // valid once done is closed
}

func (l *Lab) buildGuard(ctx context.Context) error {
	l.guard = l.Path("bin", "guard")
	return goBuild(ctx, sourceDir(), l.guard, "", "./cmd/guard")
}

// environ is the environment of the lab's programs: nothing of the user's
// settings reaches them.
func (l *Lab) environ(extra ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + l.Path("home"),
		"TMPDIR=" + os.TempDir(),
		"AWS_EC2_METADATA_DISABLED=true",
		"LANG=C.UTF-8",
	}
	return append(env, extra...)
}

// run starts a program that the lab stops on Close.
func (l *Lab) run(name, program string, args ...string) (*process, error) {
	return l.runGuarded(name, append([]string{program}, args...)...)
}

func (l *Lab) runGuarded(name string, args ...string) (*process, error) {
	p := &process{name: name, log: l.Path("logs", name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer out.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(l.guard, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, out, out
	cmd.Env = l.environ()
	cmd.Dir = l.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("lab: starting %s: %w", name, err)
	}
	p.lifeline, p.pid = w, cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	l.own(p)
	return p, nil
}

// stop ends the program and everything it started.
func (p *process) stop() error {
	p.lifeline.Close()
	select {
	case <-p.done:
		return nil
	case <-time.After(15 * time.Second):
	}
	_ = syscall.Kill(p.pid, syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("lab: %s did not stop by itself and was killed", p.name)
}

// errPortTaken is wrapped by the errors of programs that found their port taken
// by another program.
var errPortTaken = errors.New("the port is taken")

// exited is the error of a program that ended and should not have.
func (p *process) exited() error {
	tail := p.tail(12)
	if strings.Contains(tail, "address already in use") {
		return fmt.Errorf("lab: %s stopped: %w; %s", p.name, errPortTaken, lastLine(tail))
	}
	return fmt.Errorf("lab: %s stopped (%v); its log %s ends:\n%s", p.name, p.err, p.log, tail)
}

// waitFor polls ok until it is nil, the program ends, or the time is over.
func (p *process) waitFor(ctx context.Context, limit time.Duration, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.exited()
		case <-ctx.Done():
			return fmt.Errorf("lab: %s was not ready after %s: %w; see %s", p.name, limit, err, p.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail returns the last lines of the program's log.
func (p *process) tail(lines int) string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-16<<10), io.SeekStart)
	}
	data, _ := io.ReadAll(f)
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// freePort returns a TCP port of the loopback interface that nothing listens on.
// It is one below those that outgoing connections get (from 32768 on by default in
// Linux's ip_local_port_range), so that none takes it before the program does.
func freePort() (int, error) {
	for range 50 {
		if port := 20000 + rand.IntN(12000); checkPort(port) == nil {
			return port, nil
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("lab: no free port on 127.0.0.1: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// checkPort fails with a clear line where something listens on the port already.
func checkPort(port int) error {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("lab: port %d on 127.0.0.1 is in use: leave the port out and the lab takes a free one (%w)", port, err)
	}
	return ln.Close()
}

// withFreePorts calls start, which takes free ports, again where another
// program was quicker to take one of them.
func withFreePorts(start func() error) error {
	var err error
	for range 3 {
		if err = start(); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

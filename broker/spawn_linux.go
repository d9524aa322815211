package broker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// spawn runs an issuer that has no terminal, in a process group of its own. It
// does what package os/exec would, which first starts a process to see how it may
// start processes, and has a goroutine for each thing that may happen: a tenth of
// a call that the cache does not answer. ok is false for what it leaves to that.
func spawn(ctx context.Context, r run, out, errs io.Writer) (e ended, ok bool) {
	if len(r.stdin) > pipeSize || hasTerminal() {
		return ended{}, false
	}
	var pipes [3][2]*os.File // each with its reading end first
	defer func() {
		for _, p := range pipes {
			for _, f := range p {
				_ = f.Close() // nil and closed ones too
			}
		}
	}()
	for i := range pipes {
		var err error
		if pipes[i][0], pipes[i][1], err = os.Pipe(); err != nil {
			return ended{}, false
		}
	}
	// An empty pipe takes it whole.
	if _, err := pipes[0][1].Write(r.stdin); err != nil {
		return ended{}, false
	}
	_ = pipes[0][1].Close()
	theirs := []*os.File{pipes[0][0], pipes[1][1], pipes[2][1]}
	files := make([]uintptr, len(theirs))
	for i, f := range theirs {
		files[i] = f.Fd()
	}
	pid, err := syscall.ForkExec(r.path, append([]string{r.path}, r.args...), &syscall.ProcAttr{
		Env: r.env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return ended{err: &fs.PathError{Op: "fork/exec", Path: r.path, Err: err}}, true
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	var copies sync.WaitGroup
	copies.Go(func() { copyTo(out, pipes[1][0]) })
	copies.Go(func() { copyTo(errs, pipes[2][0]) })
	g := group{pid: pid}
	stop := context.AfterFunc(ctx, func() {
		g.signal(syscall.SIGTERM)
		time.AfterFunc(drainWait, func() { g.signal(syscall.SIGKILL) })
	})
	var status syscall.WaitStatus
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	g.over()
	stop()
	if r.sweep || ctx.Err() != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	end := time.Now().Add(drainWait) // a child of it may hold the pipes
	_ = pipes[1][0].SetReadDeadline(end)
	_ = pipes[2][0].SetReadDeadline(end)
	copies.Wait()
	switch {
	case err != nil:
		return ended{err: err}, true
	case status.Signaled():
		return ended{how: "signal: " + status.Signal().String()}, true
	}
	return ended{status: status.ExitStatus()}, true
}

// pipeSize is what every pipe takes at once (pipe(7)).
const pipeSize = 4 << 10

// copyTo reads to the end, or to the reader's deadline.
func copyTo(w io.Writer, r *os.File) {
	var buf [4 << 10]byte
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// group is a running process with its group, whose id may be another's once it is
// over.
type group struct {
	pid int

	mu   sync.Mutex
	gone bool
}

func (g *group) signal(s syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.gone {
		_ = syscall.Kill(-g.pid, s)
	}
}

func (g *group) over() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
}

// Package inputfile opens the files that a person names as a command's input.
package inputfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Patience is how long somebody may take to begin to write to a named pipe.
const Patience = 2 * time.Second

// ErrNoWriter says that a named pipe was opened and nobody wrote to it. Opened in
// the usual way it would block for ever, and no signal would end that.
var ErrNoWriter = errors.New("a named pipe that nobody writes to: give a file, or - for stdin")

// errDirectory says so before a read would, and in words of its own.
var errDirectory = errors.New("a directory, where a file is wanted")

// Open opens a file to read. A named pipe is waited for until ctx ends, but no
// longer than [Patience] while nobody has it open for writing; one who has may take
// all the time it needs. Reads of a pipe end with ctx. The error has no path in it.
func Open(ctx context.Context, name string) (io.ReadCloser, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, cause(err)
	case info.IsDir():
		return nil, errDirectory
	case info.Mode()&fs.ModeNamedPipe != 0:
		return openPipe(ctx, name, Patience)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	return f, nil
}

// pipe is a named pipe of which the first bytes were read already.
type pipe struct {
	ctx  context.Context
	file *os.File
	head []byte
	stop func() bool
}

// openPipe waits for the first byte. Without O_NONBLOCK the open itself would wait
// for a writer; with it a read finds the end while there is none.
func openPipe(ctx context.Context, name string, patience time.Duration) (io.ReadCloser, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	p := &pipe{ctx: ctx, file: file}
	p.stop = context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	first := make([]byte, 1)
	for {
		n, err := p.Read(first)
		switch {
		case n > 0:
			p.head = first
			return p, nil
		case err != nil && !errors.Is(err, io.EOF):
			p.Close()
			return nil, err
		}
		select {
		case <-late:
			p.Close()
			return nil, ErrNoWriter
		case <-ctx.Done():
			p.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func (p *pipe) Read(b []byte) (int, error) {
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	n, err := p.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && p.ctx.Err() != nil {
		err = p.ctx.Err()
	}
	return n, cause(err)
}

func (p *pipe) Close() error {
	p.stop()
	return p.file.Close()
}

// cause is what the operating system said, without the call and the path, which
// whoever shows the error names as the person typed it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"

	"github.com/kubecred/kubecred/internal/inputfile"
)

// stdin is an input that may block for ever, a terminal or a pipe, whose reads
// end with the context: Ctrl-C and SIGTERM cancel it, and a command that waits
// for input must end, too. What a read gets afterwards is lost. The end is an end
// for good: a terminal would be read on after Ctrl-D, and want a second one.
type stdin struct {
	ctx    context.Context
	file   *os.File
	buf    []byte
	result chan readResult
	ended  error
	hint   io.Writer // told once that a terminal is read; nil when it was
}

type readResult struct {
	n   int
	err error
}

// interruptible wraps in where its reads may block. A regular file's do not. Whoever
// sits at a terminal that is read is told so on hint.
func interruptible(ctx context.Context, in io.Reader, hint io.Writer) io.Reader {
	file, ok := in.(*os.File)
	if !ok {
		return in
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		return in
	}
	s := &stdin{ctx: ctx, file: file, result: make(chan readResult, 1)}
	if term.IsTerminal(int(file.Fd())) && isTerminal(hint) {
		s.hint = hint
	}
	return s
}

func (s *stdin) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.ended != nil {
		return 0, s.ended
	}
	if s.hint != nil {
		end := "Ctrl-D"
		if runtime.GOOS == "windows" {
			end = "Ctrl-Z and Enter"
		}
		fmt.Fprintf(s.hint, "Reading from the terminal: paste, and end with %s on a line of its own.\n", end)
		s.hint = nil
	}
	if cap(s.buf) < len(p) {
		s.buf = make([]byte, len(p))
	}
	buf := s.buf[:len(p)] // not p: that is the caller's again once this has returned
	go func() {
		n, err := s.file.Read(buf)
		s.result <- readResult{n, err}
	}()
	select {
	case r := <-s.result:
		s.ended = r.err
		return copy(p, buf[:r.n]), r.err
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// open opens an input that a person named: stdin for "-", else a file, or a pipe
// such as a shell's <(command).
func (a *app) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.Stdin), nil
	}
	f, err := inputfile.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// question returns stdin where it is a terminal, where a person can be asked, and
// nil elsewhere. What was read before it may have ended with Ctrl-D.
func (a *app) question() io.Reader {
	s, ok := a.Stdin.(*stdin)
	if !ok || !a.fromTerminal() || !isTerminal(a.Stdout) || !isTerminal(a.Stderr) {
		return nil
	}
	s.ended, s.hint = nil, nil
	return s
}

// fromTerminal tells whether stdin is a terminal.
func (a *app) fromTerminal() bool {
	s, ok := a.Stdin.(*stdin)
	return ok && term.IsTerminal(int(s.file.Fd()))
}

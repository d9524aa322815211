package auditlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/inputfile"
)

// Source is somewhere that audit events come from: a file, a directory, a
// stream, an engine that holds logs.
type Source interface {
	// Streams calls yield with each stream of bytes that the source holds. What
	// can't be opened is yielded too, with an Open that says why. An error means
	// that the source as a whole could not be used.
	Streams(ctx context.Context, yield func(Stream) error) error
}

// Stream is one run of bytes, in any compression and envelope that Scan knows.
type Stream struct {
	// Name is how a person calls it: a path as it was typed, "stdin".
	Name string
	Open func() (io.ReadCloser, error)
	// Size is the number of bytes to read, 0 if that is unknown.
	Size int64
}

// Reader is a source that reads r once.
func Reader(name string, r io.Reader) Source { return reader{name, r} }

type reader struct {
	name string
	r    io.Reader
}

func (s reader) Streams(_ context.Context, yield func(Stream) error) error {
	return yield(Stream{Name: s.name, Open: func() (io.ReadCloser, error) { return io.NopCloser(s.r), nil }})
}

// Path is a source that reads a file, or every file below a directory in the
// order of their names. A named pipe is read when it is named itself and left
// out when it is met in a directory.
func Path(name string) Source { return pathSource(name) }

type pathSource string

func (s pathSource) Streams(ctx context.Context, yield func(Stream) error) error {
	info, err := os.Stat(string(s))
	if err != nil {
		return yield(failed(string(s), err))
	}
	if !info.IsDir() {
		return yield(namedStream(ctx, string(s), info))
	}
	return (&folder{ctx: ctx, yield: yield}).walk(string(s), info, false)
}

// folder walks a directory with all below it, through symbolic links too, and
// reads nothing twice because of them.
type folder struct {
	ctx   context.Context
	yield func(Stream) error
	// seen is what was met, linked what of it through a link.
	seen, linked []os.FileInfo
}

// maxSeen bounds the files that are remembered to know a link's target again.
const maxSeen = 10000

// again tells whether a file or directory was met before. Only a link can lead
// to one a second time.
func (w *folder) again(info os.FileInfo, link bool) bool {
	same := func(o os.FileInfo) bool { return os.SameFile(o, info) }
	if slices.ContainsFunc(w.linked, same) || link && slices.ContainsFunc(w.seen, same) {
		return true
	}
	if link {
		w.linked = append(w.linked, info)
	}
	if info.IsDir() || len(w.seen) < maxSeen {
		w.seen = append(w.seen, info)
	}
	return false
}

func (w *folder) walk(name string, info os.FileInfo, link bool) error {
	if w.again(info, link) {
		return nil
	}
	entries, err := os.ReadDir(name)
	if err != nil { // it may not be listed; the others are read
		if yerr := w.yield(failed(name, err)); yerr != nil {
			return yerr
		}
	}
	for _, d := range entries {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		if strings.HasPrefix(d.Name(), ".") {
			continue
		}
		if err := w.entry(filepath.Join(name, d.Name()), d.Type()&fs.ModeSymlink != 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *folder) entry(name string, link bool) error {
	info, err := os.Stat(name) // through a symbolic link, as log folders have them
	switch {
	case err != nil:
		return w.yield(failed(name, err))
	case info.IsDir():
		return w.walk(name, info, link)
	case !info.Mode().IsRegular() || w.again(info, link):
		return nil
	}
	return w.yield(fileStream(name, info))
}

func failed(name string, err error) Stream {
	return Stream{Name: name, Open: func() (io.ReadCloser, error) { return nil, err }}
}

// namedStream is a file, or a named pipe that somebody writes to.
func namedStream(ctx context.Context, name string, info os.FileInfo) Stream {
	if info.Mode()&fs.ModeNamedPipe == 0 {
		return fileStream(name, info)
	}
	return Stream{Name: name, Open: func() (io.ReadCloser, error) { return inputfile.Open(ctx, name) }}
}

func fileStream(name string, info os.FileInfo) Stream {
	s := Stream{Name: name, Open: func() (io.ReadCloser, error) { return os.Open(name) }}
	if info.Mode().IsRegular() {
		s.Size = info.Size()
	}
	return s
}

// reason is an error without the path, for a message that names the file already.
func reason(err error) string {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.As(err, &path):
		return path.Err.Error()
	}
	return fmt.Sprint(err)
}

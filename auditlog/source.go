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
		return yield(fileStream(string(s), info))
	}
	var seen []os.FileInfo
	return filepath.WalkDir(string(s), func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// A directory that may not be listed is said, the others are read.
			if yerr := yield(failed(name, err)); yerr != nil {
				return yerr
			}
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if name != string(s) && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(name) // through a symbolic link, as log folders have them
		if err != nil {
			return yield(failed(name, err))
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 && slices.ContainsFunc(seen, func(o os.FileInfo) bool { return os.SameFile(o, info) }) {
			return nil
		}
		if len(seen) < 10000 {
			seen = append(seen, info)
		}
		return yield(fileStream(name, info))
	})
}

func failed(name string, err error) Stream {
	return Stream{Name: name, Open: func() (io.ReadCloser, error) { return nil, err }}
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

package imagecred

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
	"syscall"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// MaxFile bounds a config file. Real ones have some kilobytes.
const MaxFile = 4 << 20

// maxFiles bounds a directory.
const maxFiles = 10_000

// LoadError says that a config could not be read at all, so that nothing can be
// said of it.
type LoadError struct {
	Path string
	Err  error
}

func (e *LoadError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *LoadError) Unwrap() error { return e.Err }

// Load reads a file, or a directory as the kubelet does since 1.34: its files
// whose names end in .json, .yaml or .yml, in the order of their names, and no
// directory below it. What would stop a kubelet of the version is in the
// config's Problems; the error is a [*LoadError] and means that path itself
// cannot be read.
func Load(ctx context.Context, path string, version Version) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &LoadError{path, reasonOf(err)}
	}
	c := &Config{Path: path, version: version, Directory: info.IsDir()}
	if !c.Directory {
		read := readFile
		if info.Mode()&fs.ModeNamedPipe != 0 {
			read = readPipe // the shell's <(command), say
		}
		data, err := read(path)
		if err != nil {
			return nil, &LoadError{path, err}
		}
		c.addFile(path, data)
		c.validate()
		return c, nil
	}
	names, ignored, err := configNames(path)
	if err != nil {
		return nil, &LoadError{path, err}
	}
	c.Ignored = ignored
	if !version.Knows(ConfigDirectory) {
		c.problem(codeTooOld, "config", finding.Where{File: path},
			fmt.Sprintf("the path is a directory, which kubelets read from %s on; %s cannot", Since(ConfigDirectory), version),
			fmt.Sprintf("unable to read external registry credential provider configuration from %q: is a directory", path),
			"put all providers into one file")
	}
	if len(names) == 0 {
		c.problem(codeUnreadable, "config", finding.Where{File: path},
			"the directory has no file whose name ends in .json, .yaml or .yml",
			fmt.Sprintf("no configuration files found in directory %q", path), "name the files so, lower case")
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := readFile(name)
		if err != nil {
			c.problem(codeUnreadable, "config", finding.Where{File: name}, err.Error(),
				fmt.Sprintf("unable to read file %q: %v", name, err), "take the file out of the directory, or mend it")
			continue
		}
		c.addFile(name, data)
	}
	if len(names) > 0 {
		c.validate()
	}
	return c, nil
}

// Parse judges one file's content, as [Load] does; name is for messages.
func Parse(name string, data []byte, version Version) *Config {
	c := &Config{Path: name, version: version}
	c.addFile(name, data)
	c.validate()
	return c
}

// configNames lists the files of a directory that the kubelet reads, and those
// that look as if they were meant to be read.
func configNames(dir string) (names, ignored []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, reasonOf(err)
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		ext := filepath.Ext(e.Name())
		switch {
		case e.IsDir():
			if !strings.HasPrefix(e.Name(), ".") {
				ignored = append(ignored, name)
			}
		case ext == ".json" || ext == ".yaml" || ext == ".yml":
			names = append(names, name)
		default:
			ignored = append(ignored, name)
		}
	}
	if len(names) > maxFiles {
		return nil, nil, fmt.Errorf("holds %d config files, more than %d", len(names), maxFiles)
	}
	slices.Sort(names)
	return names, ignored, nil
}

// pipeTimeout bounds the wait for who writes to a pipe.
const pipeTimeout = 30 * time.Second

// readPipe reads a pipe that somebody writes to already. It does not wait for
// somebody to begin, as a kubelet would.
func readPipe(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(pipeTimeout)); err != nil {
		return nil, errors.New("is a pipe that cannot be read with a time limit; give - for stdin")
	}
	data, err := ReadAll(f)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("is a pipe, and nothing came through it in %s", pipeTimeout)
	case err != nil:
		return nil, reasonOf(err)
	case len(data) == 0:
		return nil, errors.New("is a named pipe that nobody writes to, on which a kubelet would wait for ever; give a file, or - for stdin")
	}
	return data, nil
}

// readFile reads a regular file.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		if target, linkErr := os.Readlink(name); linkErr == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the link points to %s, which does not exist", target)
		}
		return nil, reasonOf(err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, errors.New("is a directory")
	case mode&fs.ModeNamedPipe != 0:
		return nil, errors.New("is a named pipe, on which a kubelet would wait for ever; give a file, or - for stdin")
	case !mode.IsRegular():
		return nil, errors.New("is no regular file")
	case info.Size() > MaxFile:
		return nil, tooLarge(info.Size())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer f.Close()
	data, err := ReadAll(f)
	if err != nil {
		return nil, reasonOf(err)
	}
	return data, nil
}

// ReadAll reads a config from r, at most [MaxFile] bytes.
func ReadAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		return nil, tooLarge(int64(len(data)))
	}
	return data, err
}

func tooLarge(size int64) error {
	return fmt.Errorf("%d MiB or more, and a credential provider config has at most %d here", max(size>>20, MaxFile>>20), MaxFile>>20)
}

// reasonOf takes the path out of an error that is shown beside it.
func reasonOf(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

package kubeconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadFile reads a kubeconfig's text. It refuses what is no regular file without
// opening it (a FIFO would block), and files above MaxSize without reading them.
// The error is one phrase without the path.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Cause(err)
	}
	if err := regular(path, info); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, Cause(err)
	}
	defer file.Close()
	return ReadFrom(file)
}

// ReadFrom reads a kubeconfig's text from an open file or a pipe, up to MaxSize.
func ReadFrom(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, Cause(err)
	}
	if len(data) > MaxSize {
		return nil, tooLarge()
	}
	return data, nil
}

func tooLarge() error {
	return fmt.Errorf("larger than %d MiB, so it is no kubeconfig", MaxSize>>20)
}

func regular(path string, info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return errors.New("a directory, where a kubeconfig file is wanted")
	case mode&fs.ModeNamedPipe != 0:
		return errors.New("a named pipe, not a file: save what it holds to a file, or pipe it in and give -")
	case mode&fs.ModeSocket != 0:
		return errors.New("a socket, not a file")
	case mode&fs.ModeDevice != 0 && filepath.Clean(path) != os.DevNull:
		return errors.New("a device, not a file")
	case info.Size() > MaxSize:
		return tooLarge()
	}
	return nil
}

// Cause is what the operating system said, without the call and the path.
func Cause(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}

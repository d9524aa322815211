package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Writer replaces the text of a kubeconfig: [Open] locks the file and reads it,
// Stage writes the new text beside it, Commit puts it in its place at once, and
// Close takes away whatever is left. Nothing changes before Commit.
type Writer struct {
	path   string // as given
	target string // where symbolic links lead
	info   fs.FileInfo
	data   []byte
	temp   string
	unlock []func()
	// write is os.File.Write but in tests.
	write func(*os.File, []byte) (int, error)
}

// Open locks a kubeconfig as kubectl does, waiting at most wait, and reads it.
// The caller must Close it. A missing file is an error that is fs.ErrNotExist.
func Open(ctx context.Context, path string, wait time.Duration) (*Writer, error) {
	w := &Writer{path: path, write: (*os.File).Write}
	ok := false
	defer func() {
		if !ok {
			w.Close()
		}
	}()
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, Cause(err)
	}
	w.target = target
	if info, err := os.Stat(target); err != nil {
		return nil, Cause(err)
	} else if err := regular(target, info); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("a device, not a file")
	}
	// kubectl locks beside the name it was given; another one may use the real name.
	names := []string{path}
	if !sameLock(path, target) {
		names = append(names, target)
	}
	for _, name := range names {
		unlock, err := lock(ctx, name, wait)
		if err != nil {
			return nil, err
		}
		w.unlock = append(w.unlock, unlock)
	}
	if w.info, err = os.Stat(target); err != nil {
		return nil, Cause(err)
	}
	if n := hardLinks(w.info); n > 1 {
		return nil, fmt.Errorf("a file with %d hard links: replacing it would cut them; give it a name of its own first", n)
	}
	if w.data, err = ReadFile(target); err != nil {
		return nil, err
	}
	ok = true
	return w, nil
}

// Create locks a kubeconfig that is not there yet, making its folder, and waits at
// most wait. Commit then makes the file, with mode 0600. The caller must Close it.
func Create(ctx context.Context, path string, wait time.Duration) (*Writer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("can't make the folder %s: %w", filepath.Dir(path), Cause(err))
	}
	unlock, err := lock(ctx, path, wait)
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, target: path, unlock: []func(){unlock}, write: (*os.File).Write}
	if _, err := os.Lstat(path); err == nil {
		w.Close()
		return nil, errors.New("made by another program just now: run it again")
	}
	return w, nil
}

func sameLock(a, b string) bool {
	x, errX := filepath.EvalSymlinks(filepath.Dir(a))
	y, errY := filepath.EvalSymlinks(filepath.Dir(b))
	return errX == nil && errY == nil && filepath.Join(x, filepath.Base(a)) == filepath.Join(y, filepath.Base(b))
}

// Data is the text of the file while it was locked.
func (w *Writer) Data() []byte { return w.data }

// Stage writes the new text to a file beside the kubeconfig, with its mode and
// owner, down to the disk.
func (w *Writer) Stage(data []byte) error {
	temp, err := w.writeBeside(filepath.Base(w.target)+".kubecred-", data)
	if err != nil {
		return err
	}
	w.temp = temp
	return nil
}

// writeBeside makes a file of a random name in the kubeconfig's folder.
func (w *Writer) writeBeside(prefix string, data []byte) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(w.target), prefix+"*")
	if err != nil {
		return "", fmt.Errorf("can't write in %s: %w", filepath.Dir(w.target), Cause(err))
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if _, err := w.write(file, data); err != nil {
		return "", fmt.Errorf("can't write in %s: %w", filepath.Dir(w.target), Cause(err))
	}
	if w.info != nil { // else it is new, and CreateTemp's 0600 is right
		if err := keepOwner(file, w.info); err != nil {
			return "", fmt.Errorf("can't keep the file's owner: %w", Cause(err))
		}
		if err := file.Chmod(w.info.Mode().Perm()); err != nil {
			return "", fmt.Errorf("can't keep the file's mode: %w", Cause(err))
		}
	}
	if err := file.Sync(); err != nil {
		return "", fmt.Errorf("can't write in %s: %w", filepath.Dir(w.target), Cause(err))
	}
	return file.Name(), file.Close()
}

// Backup keeps the old text under a name of its own and returns that name:
// FILE.bak, or FILE.bak.2 and so on where that is taken; "" for a new file.
func (w *Writer) Backup() (string, error) {
	if w.info == nil {
		return "", nil
	}
	temp, err := w.writeBeside(filepath.Base(w.target)+".kubecred-bak-", w.data)
	if err != nil {
		return "", err
	}
	defer os.Remove(temp)
	name := w.path + ".bak"
	for i := 2; ; i++ {
		err := os.Link(temp, name)
		if err == nil {
			return name, nil
		}
		if errors.Is(err, fs.ErrExist) && i < 1000 {
			name = w.path + ".bak." + strconv.Itoa(i)
			continue
		}
		if errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("can't keep a backup: %s.bak and 998 more are taken", w.path)
		}
		return "", fmt.Errorf("can't keep a backup as %s: %w", name, Cause(err))
	}
}

// Commit puts the staged text in the file's place. It refuses where the file has
// changed since it was read.
func (w *Writer) Commit() error {
	now, err := ReadFile(w.target)
	switch {
	case w.info == nil && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case w.info == nil || !bytes.Equal(now, w.data):
		return errors.New("changed by another program just now: run it again")
	}
	if err := os.Rename(w.temp, w.target); err != nil {
		return fmt.Errorf("can't replace it: %w", Cause(err))
	}
	w.temp = ""
	syncDir(filepath.Dir(w.target))
	return nil
}

// Close removes what was staged and gives the lock back.
func (w *Writer) Close() {
	if w.temp != "" {
		os.Remove(w.temp)
		w.temp = ""
	}
	for i := len(w.unlock) - 1; i >= 0; i-- {
		w.unlock[i]()
	}
	w.unlock = nil
}

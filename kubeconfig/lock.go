package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// LockError says that another program holds kubectl's lock of a kubeconfig.
type LockError struct {
	// Path is the lock file.
	Path string
	// Since is when it was made.
	Since time.Time
}

func (e *LockError) Error() string {
	return fmt.Sprintf("%s is there since %s: another kubectl is writing, or one was killed while it did; if none runs, delete that file",
		e.Path, e.Since.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// LockName is the file by which kubectl locks a kubeconfig
// (k8s.io/client-go tools/clientcmd/loader.go).
func LockName(path string) string { return path + ".lock" }

// lockPoll is how often a held lock is tried again; kubectl holds it for
// milliseconds.
const lockPoll = 20 * time.Millisecond

// lock makes the lock file, which must not be there, and waits for at most wait.
func lock(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) {
	name := LockName(path)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			file.Close()
			return func() { os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("can't make the lock file %s: %w", name, Cause(err))
		}
		select {
		case <-time.After(lockPoll):
			continue
		case <-ctx.Done():
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, ctx.Err()
		}
		held := &LockError{Path: name}
		if info, err := os.Lstat(name); err == nil {
			held.Since = info.ModTime()
		}
		return nil, held
	}
}

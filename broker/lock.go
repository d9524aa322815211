package broker

import (
	"context"
	"os"

	"github.com/gofrs/flock"
)

// locker is a lock between processes, by the name of a file. The system lets go
// of it when its holder dies.
type locker interface {
	// lock waits until it has the lock or ctx is done.
	lock(ctx context.Context, path string) (unlock func(), err error)
	// tryLock takes the lock where nobody has it.
	tryLock(path string) (unlock func(), ok bool, err error)
}

type fileLocker struct{}

func (fileLocker) tryLock(path string) (func(), bool, error) {
	for range lockTries {
		l := flock.New(path)
		ok, err := l.TryLock()
		if err != nil || !ok {
			return nil, false, err
		}
		if current(l, path) {
			return func() { _ = l.Unlock() }, true, nil
		}
		_ = l.Unlock()
	}
	return nil, false, nil
}

func (f fileLocker) lock(ctx context.Context, path string) (func(), error) {
	type result struct {
		unlock func()
		err    error
	}
	// The system's call cannot be interrupted. Where nobody waits for it any
	// more, the goroutine ends with the lock, and with the process at the latest.
	got := make(chan result)
	go func() {
		unlock, err := f.block(path)
		select {
		case got <- result{unlock, err}:
		case <-ctx.Done():
			if unlock != nil {
				unlock()
			}
		}
	}()
	select {
	case r := <-got:
		return r.unlock, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (fileLocker) block(path string) (func(), error) {
	for {
		l := flock.New(path)
		if err := l.Lock(); err != nil {
			return nil, err
		}
		if current(l, path) {
			return func() { _ = l.Unlock() }, nil
		}
		_ = l.Unlock()
	}
}

// lockTries bounds how often a lock is taken on a file that was just removed.
const lockTries = 10

// current tells whether the locked file is still the one of that name: sweep
// removes old lock files while it holds their lock.
func current(l *flock.Flock, path string) bool {
	have, err := l.Stat()
	if err != nil {
		return false
	}
	want, err := os.Stat(path)
	return err == nil && os.SameFile(have, want)
}

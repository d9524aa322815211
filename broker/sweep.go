package broker

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// sweepOdds is how rarely a new entry is the occasion for it.
	sweepOdds = 32
	// tempLife is how old what a killed process left half written may get.
	tempLife = time.Hour
	// deadLife is how long the files of a key stay that nobody uses: an expired
	// entry still tells which version its issuer speaks.
	deadLife = 7 * 24 * time.Hour
	sweepMax = 10000
)

// sweep removes what is of no use any more.
func (s *store) sweep(now time.Time) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return
	}
	names, _ := dir.Readdirnames(sweepMax)
	_ = dir.Close()
	for _, name := range names {
		path := filepath.Join(s.dir, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		age := now.Sub(info.ModTime())
		key, suffix := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
		switch {
		case strings.HasPrefix(name, tempPrefix):
			if age > tempLife {
				_ = os.Remove(path)
			}
		case !isKey(key) || age <= deadLife:
		case suffix == lockSuffix:
			removeLock(path)
		default:
			_ = os.Remove(path)
		}
	}
}

// removeLock removes a lock file that nobody holds. Who opened it meanwhile
// finds, once it has the lock, that the name is gone, and begins again.
func removeLock(path string) {
	unlock, ok, err := fileLocker{}.tryLock(path)
	if err == nil && ok {
		_ = os.Remove(path)
		unlock()
	}
}

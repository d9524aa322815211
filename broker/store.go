package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DirEnv names the variable that puts the cache elsewhere.
const DirEnv = "KUBECRED_CACHE_DIR"

// NodeDir is the image road's cache where root has no home.
const NodeDir = "/var/cache/kubecred/exec"

// DefaultDir is where a road ("client" or "image") has its cache:
// KUBECRED_CACHE_DIR, or kubecred/exec in the user's cache directory
// (XDG_CACHE_HOME, ~/.cache; ~/Library/Caches on macOS, %LocalAppData% on
// Windows). A kubelet often runs as root without a home: there the image road's
// is /var/cache/kubecred/exec. The error says why there is none.
func DefaultDir(road string) (string, error) {
	if dir := os.Getenv(DirEnv); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("%s is no absolute path", DirEnv)
		}
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err != nil && road == imageName && os.Geteuid() == 0 {
		return NodeDir, nil
	}
	if err != nil {
		return "", errors.New("there is no home directory")
	}
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(base, home+string(os.PathSeparator)) {
		if _, err := os.Stat(home); err != nil {
			return "", fmt.Errorf("the home directory %s: %w", home, errors.Unwrap(err))
		}
	}
	return filepath.Join(base, "kubecred", "exec"), nil
}

// Suffixes of the files that belong to a key.
const (
	entrySuffix  = ".cred"
	servedSuffix = ".served"
	failSuffix   = ".fail"
	lockSuffix   = ".lock"
	whoSuffix    = ".who"
	scopeSuffix  = ".scope"
	tempPrefix   = ".tmp-"
)

// store is the cache directory, checked. The nil store keeps nothing.
type store struct{ dir string }

// openStore checks the directory and, where make is set, makes it. Nobody else
// may own it, read it or write to it.
func openStore(dir string, create bool) (*store, error) {
	if dir == "" {
		return nil, nil
	}
	is, err := lookAt(dir, false)
	if err != nil && errors.Is(err, fs.ErrNotExist) && create {
		if is, err = createDir(dir); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, plainError(err)
	}
	if !is.mode.IsDir() {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	if why := is.foreign(0o700); why != "" {
		return nil, fmt.Errorf("%s %s", dir, why)
	}
	// Who may write to the directory above may put another in its place.
	above, err := lookAt(filepath.Dir(dir), true)
	if err != nil {
		return nil, plainError(err)
	}
	if above.mode.Perm()&0o022 != 0 && above.mode&os.ModeSticky == 0 && ownersMatter {
		return nil, fmt.Errorf("%s lets others write: chmod go-w", filepath.Dir(dir))
	}
	return &store{dir}, nil
}

// createDir makes the directory below one that is the user's own: what a sudo
// makes in somebody's home would be in the way later.
func createDir(dir string) (state, error) {
	above := filepath.Dir(dir)
	for {
		is, err := lookAt(above, true)
		if err == nil {
			// In a directory such as /tmp anybody may make their own.
			if why := is.foreign(0o777); why != "" && is.mode&0o002 == 0 {
				return state{}, fmt.Errorf("%s is to be made, but %s %s", dir, above, why)
			}
			break
		}
		next := filepath.Dir(above)
		if !errors.Is(err, fs.ErrNotExist) || next == above {
			return state{}, plainError(err)
		}
		above = next
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return state{}, plainError(err)
	}
	is, err := lookAt(dir, false)
	if err != nil {
		return state{}, plainError(err)
	}
	return is, nil
}

// plainError is err without the operation, on one line.
func plainError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return fmt.Errorf("%s: %w", link.New, link.Err)
	}
	return err
}

func (s *store) path(key, suffix string) string {
	return s.dir + string(os.PathSeparator) + key + suffix
}

// state is what is known of a file.
type state struct {
	mode    os.FileMode
	owner   int // user id, -1 where the system has none
	size    int64
	changed time.Time
}

// read returns a file of the cache and its time of change. Whatever is not a
// plain file of the user's own, for the user alone, is an error.
func (s *store) read(key, suffix string) ([]byte, time.Time, error) {
	if s == nil {
		return nil, time.Time{}, fs.ErrNotExist
	}
	name := s.path(key, suffix)
	f, err := openPlain(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.close()
	info, err := f.stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.mode.IsRegular() {
		return nil, time.Time{}, fmt.Errorf("%s is no plain file", name)
	}
	if why := info.foreign(0o600); why != "" {
		return nil, time.Time{}, fmt.Errorf("%s %s", name, why)
	}
	if info.size > maxRecord {
		return nil, time.Time{}, errRecord
	}
	data := make([]byte, info.size)
	if n, err := f.ReadAt(data, 0); err != nil && n < len(data) {
		return nil, time.Time{}, errRecord // it was just cut
	}
	return data, info.changed, nil
}

// entry returns the key's entry, whether or not it is still of use. A missing or
// damaged one is nil; a file that must not be trusted is also told.
func (b *Broker) entry(s *store, key string) *entry {
	data, changed, err := s.read(key, entrySuffix)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errRecord) {
			b.cacheTrouble("does not use an entry of its cache: ", err)
		}
		return nil
	}
	e, err := decodeEntry(data, key)
	if err != nil || changed.After(b.Now().Add(clockSlack)) {
		return nil
	}
	return e
}

// write puts a file in place in one step. A crash leaves the old one or the new.
func (s *store) write(key, suffix string, data []byte) error {
	if s == nil {
		return nil
	}
	f, err := os.CreateTemp(s.dir, tempPrefix) // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path(key, suffix))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (s *store) remove(key, suffix string) {
	if s != nil {
		_ = os.Remove(s.path(key, suffix))
	}
}

// isKey tells whether a file name without its suffix is a key.
func isKey(name string) bool {
	road, hash, ok := strings.Cut(name, "-")
	return ok && (road == clientName || road == imageName) && len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}

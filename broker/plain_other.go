//go:build !linux

package broker

import (
	"os"
)

// plain is an open file.
type plain struct{ *os.File }

// openPlain opens a file without waiting for whoever holds the other end of a
// pipe.
func openPlain(name string, flags int, perm uint32) (plain, error) {
	f, err := os.OpenFile(name, flags|nonBlock, os.FileMode(perm))
	return plain{f}, err
}

func (p plain) stat() (state, error) {
	info, err := p.Stat()
	if err != nil {
		return state{}, err
	}
	return stateOf(info), nil
}

// lookAt tells of a file by its name; follow says whether a link counts for what it
// leads to.
func lookAt(name string, follow bool) (state, error) {
	look := os.Lstat
	if follow {
		look = os.Stat
	}
	info, err := look(name)
	if err != nil {
		return state{}, err
	}
	return stateOf(info), nil
}

func stateOf(info os.FileInfo) state {
	return state{mode: info.Mode(), owner: ownerOf(info), size: info.Size(), changed: info.ModTime()}
}

func (p plain) close() { _ = p.Close() }

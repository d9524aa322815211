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

func (p plain) close() { _ = p.Close() }

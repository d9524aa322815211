//go:build !unix

package auditlog

import (
	"errors"
	"io"
	"os"
)

// view reads a part of a file into the buffer, or into one that is large enough.
func view(f *os.File, off int64, n int, buf *[]byte) (data []byte, release func(), err error) {
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	n, err = f.ReadAt((*buf)[:n], off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return (*buf)[:n], func() {}, err
}

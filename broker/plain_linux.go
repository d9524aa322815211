package broker

import (
	"io"
	"io/fs"
	"syscall"
	"time"
)

// plain is an open file, read and written with the system's calls alone. An
// os.File would first start the runtime's poller, which costs more than all that
// is read here.
type plain struct {
	fd   int
	name string
}

// openPlain opens a file without waiting for whoever holds the other end of a
// pipe.
func openPlain(name string, flags int, perm uint32) (plain, error) {
	for {
		fd, err := syscall.Open(name, flags|syscall.O_CLOEXEC|syscall.O_NONBLOCK, perm)
		if err == syscall.EINTR { // errors.Is would make a table of methods each time
			continue
		}
		if err != nil {
			return plain{}, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return plain{fd, name}, nil
	}
}

func (p plain) stat() (state, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(p.fd, &st); err != nil {
		return state{}, &fs.PathError{Op: "stat", Path: p.name, Err: err}
	}
	return systemState(&st), nil
}

// lookAt tells of a file by its name; follow says whether a link counts for what it
// leads to.
func lookAt(name string, follow bool) (state, error) {
	var st syscall.Stat_t
	for {
		var err error
		if follow {
			err = syscall.Stat(name, &st)
		} else {
			err = syscall.Lstat(name, &st)
		}
		switch err {
		case nil:
			return systemState(&st), nil
		case syscall.EINTR:
		default:
			return state{}, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
	}
}

// systemState is what the system says of a file; of its kind only what is asked here.
func systemState(st *syscall.Stat_t) state {
	mode := fs.FileMode(st.Mode).Perm()
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	default:
		mode |= fs.ModeIrregular
	}
	if st.Mode&syscall.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return state{mode: mode, owner: int(st.Uid), size: st.Size, changed: time.Unix(st.Mtim.Unix())}
}

// ReadAt reads until b is full or the file ends.
func (p plain) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) {
		n, err := syscall.Pread(p.fd, b[done:], off+int64(done))
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return done, &fs.PathError{Op: "read", Path: p.name, Err: err}
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

// WriteAt writes once: the files here are written a slot at a time.
func (p plain) WriteAt(b []byte, off int64) (int, error) {
	return syscall.Pwrite(p.fd, b, off)
}

func (p plain) close() { _ = syscall.Close(p.fd) }

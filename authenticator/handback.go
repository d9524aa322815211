package authenticator

import (
	"net"
	"sync"
	"time"
)

// handedBack is a listener that gives net/http connections which are open
// already.
type handedBack struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHandedBack(addr net.Addr) *handedBack {
	return &handedBack{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give returns false where nobody takes connections any more.
func (l *handedBack) give(c net.Conn) bool {
	if c.SetDeadline(time.Time{}) != nil {
		return false
	}
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

func (l *handedBack) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedBack) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *handedBack) Addr() net.Addr { return l.addr }

// replay reads what was read before first.
type replay struct {
	net.Conn
	first []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

package authenticator

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on connections, where net/http's server keeps them and here.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second // from the first byte of a request
	writeTimeout  = 40 * time.Second
	idleTimeout   = 3 * time.Minute
	maxHeader     = 16 << 10
)

// plain answers what follows the first review on a connection that speaks
// HTTP/1.1. net/http starts a goroutine for each request, which looks out for a
// client that goes away, and sets and stops timers; where a token is known that
// takes as long as the answer. Here one goroutine reads and answers.
//
// It takes only what clients send as a rule: a POST of JSON with its length and
// no header that gives the bytes after it another meaning. At anything else the
// connection goes back to net/http for good, with all that was read of it, so
// there is one judge of what HTTP is.
type plain struct {
	handler *Handler
	conns   *connections
	back    *handedBack

	ended atomic.Bool

	mu   sync.Mutex
	open map[*plainConn]struct{}
	wg   sync.WaitGroup
}

// plainConn is a connection with what was read from it and not answered yet.
type plainConn struct {
	net.Conn
	in, out         []byte
	readBy, writeBy time.Time // the deadlines that are set
	began           time.Time // of a request of which a part is there; else zero
	idle            *idleness

	mu      sync.Mutex
	waiting bool // for a request
}

// ServeHTTP implements http.Handler. It returns when the connection is gone, or
// gone back.
func (p *plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.handler.answer(w, r) || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Close || r.Context().Value(cameBack{}) != nil {
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // net/http goes on
	}
	buffered, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := &plainConn{Conn: conn, in: append(make([]byte, 0, 2<<10), buffered...)}
	kept := false
	defer func() {
		if v := recover(); v != nil {
			p.handler.o.Log.Error("panic in a review", "panic", v)
		}
		if !kept {
			_ = conn.Close()
		}
	}()
	if p.enter(c) {
		defer p.leave(c)
		if p.serve(context.WithoutCancel(r.Context()), c) {
			kept = p.back.give(&replay{Conn: conn, first: c.in})
		}
	}
}

// cameBack is in the context of requests on connections that came back.
type cameBack struct{}

// connContext is a hook of http.Server.
func (p *plain) connContext(ctx context.Context, c net.Conn) context.Context {
	if _, ok := c.(*replay); ok {
		return context.WithValue(ctx, cameBack{}, true)
	}
	return ctx
}

func (p *plain) enter(c *plainConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended.Load() {
		return false
	}
	p.open[c] = struct{}{}
	p.wg.Add(1)
	c.idle = p.conns.add(c)
	return true
}

func (p *plain) leave(c *plainConn) {
	p.conns.drop(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	p.wg.Done()
}

// end lets connections go that wait for a request, and waits until the reviews
// on the others are answered. With ctx it closes them.
func (p *plain) end(ctx context.Context) error {
	p.mu.Lock()
	p.ended.Store(true)
	for c := range p.open {
		c.mu.Lock()
		if c.waiting {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
		c.mu.Unlock()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		go c.Close()
	}
	return ctx.Err()
}

// serve answers reviews until the connection ends. It returns true where
// net/http shall go on with it.
func (p *plain) serve(ctx context.Context, c *plainConn) (back bool) {
	for {
		size, length, ok := plainHeader(c.in)
		if !ok {
			return true
		}
		if size == 0 || len(c.in) < size+length {
			if c.more(size+length, size > 0, &p.ended) != nil {
				return false
			}
			continue
		}
		start := p.handler.o.Now()
		req, err := parseReview(c.in[size : size+length])
		if err != nil {
			return true
		}
		c.in, c.began = append(c.in[:0], c.in[size+length:]...), time.Time{}
		sum, a, cached := p.handler.find(ctx, req.Spec.Token, start)
		last := p.ended.Load()
		c.out = a.appendHTTP(c.out[:0], req.APIVersion, last)
		err = c.write()
		p.handler.done(ctx, sum, a, cached, start)
		if last || err != nil {
			return false
		}
	}
}

// more waits for a request, or for more of it: of need bytes where its header is
// there.
func (c *plainConn) more(need int, header bool, ended *atomic.Bool) error {
	if len(c.in)+512 > cap(c.in) || need > cap(c.in) {
		c.in = append(make([]byte, 0, max(need, 2*cap(c.in))), c.in...)
	}
	now := time.Now()
	waiting := len(c.in) == 0
	if !waiting && c.began.IsZero() {
		c.began = now
	}
	by := c.readBy
	switch {
	case header:
		by = c.began.Add(bodyTimeout)
	case !waiting:
		by = c.began.Add(headerTimeout)
	case by.Sub(now) < idleTimeout-30*time.Second: // not each time, for it takes time
		by = now.Add(idleTimeout)
	}
	if by != c.readBy {
		if err := c.SetReadDeadline(by); err != nil {
			return err
		}
		c.readBy = by
	}
	if waiting {
		c.mu.Lock()
		c.waiting = true
		c.mu.Unlock()
		if ended.Load() {
			return net.ErrClosed
		}
		c.idle.begin(now)
	}
	n, err := c.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if waiting {
		c.idle.stop()
		c.mu.Lock()
		c.waiting = false
		c.mu.Unlock()
	}
	if n > 0 {
		return nil
	}
	return err
}

// write sends what is in out.
func (c *plainConn) write() error {
	if now := time.Now(); c.writeBy.Sub(now) < writeTimeout-10*time.Second {
		c.writeBy = now.Add(writeTimeout)
		if err := c.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	_, err := c.Write(c.out)
	return err
}

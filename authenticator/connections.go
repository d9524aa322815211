package authenticator

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections closes the connection that was idle longest when there are too
// many.
type connections struct {
	max int

	mu  sync.Mutex
	all map[net.Conn]*idleness
}

// idleness is since when a connection is new or idle, in nanoseconds; 0 while a
// request is there.
type idleness struct{ since atomic.Int64 }

func (i *idleness) begin(now time.Time) { i.since.Store(now.UnixNano()) }
func (i *idleness) stop()               { i.since.Store(0) }

func newConnections(limit int) *connections {
	return &connections{max: limit, all: map[net.Conn]*idleness{}}
}

// state is a hook of http.Server.
func (c *connections) state(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.add(conn)
	case http.StateIdle, http.StateActive:
		c.mu.Lock()
		i := c.all[conn]
		c.mu.Unlock()
		switch {
		case i == nil: // closed here already
		case s == http.StateIdle:
			i.begin(time.Now())
		default:
			i.stop()
		}
	case http.StateClosed, http.StateHijacked:
		c.drop(conn)
	}
}

// add counts a connection, which is idle at first.
func (c *connections) add(conn net.Conn) *idleness {
	i := &idleness{}
	i.begin(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[conn] = i
	if len(c.all) > c.max {
		c.closeOldest(conn)
	}
	return i
}

func (c *connections) drop(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, conn)
}

// closeOldest looks at a few connections, which a map gives in random order,
// and closes the one that was idle longest among them. The lock is held.
func (c *connections) closeOldest(but net.Conn) {
	var oldest net.Conn
	var least int64
	idle, seen := 0, 0
	for conn, i := range c.all {
		since := i.since.Load()
		if seen++; seen > 256 || idle == 16 {
			break
		}
		if conn == but || since == 0 {
			continue
		}
		if idle++; oldest == nil || since < least {
			oldest, least = conn, since
		}
	}
	if oldest != nil {
		delete(c.all, oldest)
		// Closing waits for nobody, and who reads from it notices by itself.
		go oldest.Close()
	}
}

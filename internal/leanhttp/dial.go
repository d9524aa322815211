package leanhttp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"net"
)

// Bounds in bytes.
const (
	maxHead = 64 << 10 // of an answer's head
	bufSize = 8 << 10
)

// Conn is a connection to an origin. It serves one exchange after the other.
type Conn struct {
	origin Origin
	raw    net.Conn
	conn   net.Conn // raw, or TLS on it
	in     *bufio.Reader
	left   int64 // how much of the answer may still be read
	done   bool  // no further exchange
}

// Dial connects to the origin, by way of the proxy that the environment names. It
// ends with ctx.
func Dial(ctx context.Context, o Origin, getenv func(string) string) (*Conn, error) {
	proxy, err := o.proxy(getenv)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(o.Host, o.Port)
	if proxy != nil {
		address = net.JoinHostPort(proxy.Hostname(), cmp.Or(proxy.Port(), "80"))
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Conn{origin: o, raw: raw, conn: raw}
	release := bound(ctx, raw)
	defer release()
	if proxy != nil {
		err = Tunnel(raw, net.JoinHostPort(o.Host, o.Port), proxy)
	}
	if err == nil && o.TLS {
		encrypted := tls.Client(raw, clientConfig(o.Host, getenv))
		c.conn, err = encrypted, encrypted.HandshakeContext(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	c.in = bufio.NewReaderSize(c, bufSize)
	return c, nil
}

// Read reads of the answer what may be read of it.
func (c *Conn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.conn.Read(b)
	c.left -= int64(n)
	return n, err
}

// Close closes the connection.
func (c *Conn) Close() error { return c.raw.Close() }

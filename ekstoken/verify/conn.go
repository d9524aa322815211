package verify

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/kubecred/kubecred/internal/leanhttp"
)

// conn is a connection to an endpoint, perhaps through a proxy, that carries
// one request after the other.
type conn struct {
	net.Conn
	tcp  net.Conn // under the TLS
	in   *bufio.Reader
	left int64 // bytes that may still be read, see Read
	used time.Time
}

// Read stops where an answer with its header is longer than any true one.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(p)
	c.left -= int64(n)
	return n, err
}

// dial connects to the host of u, through the proxy where there is one. Where
// the first of several addresses that takes a connection does not get through a
// handshake, the others are tried.
func (t *Transport) dial(ctx context.Context, u, proxy *url.URL) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	address := hostPort(u)
	if proxy != nil {
		address = hostPort(proxy)
	}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c, err := t.shakeHands(ctx, raw, u, proxy)
	if err == nil {
		return c, nil
	}
	tried := raw.RemoteAddr().String()
	_ = raw.Close()
	for _, other := range t.addresses(ctx, address) {
		if other == tried || ctx.Err() != nil {
			continue
		}
		raw, dialErr := d.DialContext(ctx, "tcp", other)
		if dialErr != nil {
			continue
		}
		if c, again := t.shakeHands(ctx, raw, u, proxy); again == nil {
			return c, nil
		}
		_ = raw.Close()
	}
	return nil, err
}

// addresses are those of HOST:PORT, at most eight.
func (t *Transport) addresses(ctx context.Context, hostPort string) []string {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil
	}
	ips, err := t.lookup(ctx, host)
	if err != nil {
		return nil
	}
	var out []string
	for _, ip := range ips[:min(len(ips), 8)] {
		out = append(out, net.JoinHostPort(ip, port))
	}
	return out
}

func (t *Transport) shakeHands(ctx context.Context, raw net.Conn, u, proxy *url.URL) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if proxy != nil {
		release := bound(ctx, raw)
		err := leanhttp.Tunnel(raw, hostPort(u), proxy)
		if err = errors.Join(err, release()); err != nil {
			return nil, err
		}
	}
	c := &conn{Conn: raw, tcp: raw}
	if u.Scheme == "https" {
		config := t.tls.Clone()
		config.ServerName = u.Hostname()
		encrypted := tls.Client(raw, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c.Conn = encrypted
	}
	c.in = bufio.NewReaderSize(c, 4<<10)
	return c, nil
}

// bound makes reads and writes of c end when ctx does. What it returns takes
// that back; its error is ctx's where it was too late.
func bound(ctx context.Context, c net.Conn) func() error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	return func() error {
		if !stop() {
			return ctx.Err()
		}
		return nil
	}
}

var longAgo = time.Unix(1, 0)

// exchange sends a request and has its answer read whole. silent tells that
// nothing at all came back, as from a connection that the other side has ended.
func (c *conn) exchange(ctx context.Context, request []byte, read func(*bufio.Reader) error) (silent bool, err error) {
	c.left = 2 * maxAnswer
	release := bound(ctx, c.tcp)
	defer func() {
		if late := release(); late != nil {
			silent, err = false, late
		}
	}()
	if _, err = c.Write(request); err == nil {
		_, err = c.in.Peek(1)
	}
	if err != nil {
		return true, err
	}
	return false, read(c.in)
}

// quiet tells whether nothing came in while the connection lay idle: neither
// its end nor an answer that nobody asked for, which the next request would
// take for its own.
func (c *conn) quiet() bool {
	if c.in.Buffered() > 0 || !silent(c.tcp) {
		return false
	}
	if c.Conn == c.tcp {
		return true
	}
	// What TLS has read and not handed on: with a deadline that is past, Read
	// returns that or the deadline's error, and leaves the socket alone.
	if c.tcp.SetReadDeadline(longAgo) != nil {
		return false
	}
	n, err := c.Conn.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.tcp.SetReadDeadline(time.Time{}) == nil
}

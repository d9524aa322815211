package verify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 2 * time.Second
	// idleTimeout is for how long a connection is kept without a request.
	idleTimeout = 60 * time.Second
	// maxConns bounds the connections to one endpoint, maxIdle those that are
	// kept to all of them.
	maxConns = 64
	maxIdle  = 256
	// maxDials bounds the connections to one endpoint that are being made. More
	// at once would only make each of them slower: after a start with many
	// reviews a few connections are there soon, and serve all.
	maxDials = 8
)

// ErrBusy is the error of a request that could not be made in its time, or only
// in the second half of it, because all connections to the endpoint were in use
// or were being made. It says nothing of the endpoint.
var ErrBusy = errors.New("no connection was free in time")

// Transport sends requests without a body by HTTP/1.1, with the system's
// proxies (HTTPS_PROXY) and roots (SSL_CERT_FILE). A whole answer, at most 64
// KiB of it, is read before RoundTrip returns.
//
// It is there because a review waits for STS: http.Transport hands each request
// to one goroutine and its answer to another, which takes as long again as the
// question itself where STS is near. Here the caller's goroutine does both.
// Connections are kept, so that a busy server does not shake hands for each
// token. An endpoint gets at most 64, of which 8 may be in the making; calls
// beyond wait their turn, and fail with [ErrBusy] where it does not come.
//
// A host with several addresses is reached at the first with which a connection
// comes about. What has a body, and proxies that are reached by TLS or SOCKS,
// are left to http.Transport.
type Transport struct {
	proxy  func(*http.Request) (*url.URL, error)
	lookup func(ctx context.Context, host string) ([]string, error)
	tls    *tls.Config
	other  *http.Transport

	mu     sync.Mutex
	hosts  map[route]*host
	kept   int
	reaper *time.Timer // nil while nothing is kept
}

// route is where a connection goes.
type route struct{ scheme, host, proxy string }

// host are the connections of a route.
type host struct {
	slots   chan struct{} // one in it for each that is in use
	dials   chan struct{} // one in it for each that is being made
	idle    []*conn       // the one that was used last at the end
	waiting atomic.Int32  // for a connection that becomes idle, or for dials
	freed   chan struct{} // tells them of one
}

// NewTransport returns the transport that a Verifier makes for itself.
func NewTransport() *Transport {
	return newTransport(http.ProxyFromEnvironment, &tls.Config{MinVersion: tls.VersionTLS12})
}

func newTransport(proxy func(*http.Request) (*url.URL, error), config *tls.Config) *Transport {
	own := config.Clone()
	own.NextProtos = []string{"http/1.1"}
	own.ClientSessionCache = tls.NewLRUClientSessionCache(64)
	return &Transport{
		proxy: proxy, tls: own, lookup: net.DefaultResolver.LookupHost, hosts: map[route]*host{},
		other: &http.Transport{
			Proxy: proxy, TLSClientConfig: config.Clone(), TLSHandshakeTimeout: handshakeTimeout,
			MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxConns, MaxConnsPerHost: maxConns, IdleConnTimeout: idleTimeout,
			MaxResponseHeaderBytes: maxAnswer, DisableCompression: true, ForceAttemptHTTP2: true,
		},
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, own, err := t.way(req)
	if err != nil {
		return nil, err
	}
	if !own {
		return t.other.RoundTrip(req)
	}
	var request bytes.Buffer
	if err := req.Write(&request); err != nil {
		return nil, err
	}
	var resp *http.Response
	err = t.ask(req.Context(), req.URL, proxy, request.Bytes(), func(in *bufio.Reader) (last bool, err error) {
		var body []byte
		if resp, body, err = readResponse(in, req); err != nil {
			return true, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp.Close, nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// get asks for what stands in a request as it is written.
func (t *Transport) get(ctx context.Context, to, proxy *url.URL, request []byte) (r reply, err error) {
	err = t.ask(ctx, to, proxy, request, func(in *bufio.Reader) (last bool, err error) {
		r, last, err = readReply(in)
		return last, err
	})
	return r, err
}

// way finds the proxy for a request, if there is one, and tells whether it is
// made here or by http.Transport.
func (t *Transport) way(req *http.Request) (proxy *url.URL, own bool, err error) {
	proxy, err = t.proxy(req)
	switch scheme := req.URL.Scheme; {
	case err != nil:
		return nil, false, err
	case req.Body != nil, scheme != "http" && scheme != "https":
		return nil, false, nil
	case proxy != nil && (proxy.Scheme != "http" || scheme != "https"):
		return nil, false, nil
	}
	return proxy, true, nil
}

// ask sends a request when its turn has come, and has its answer read.
func (t *Transport) ask(ctx context.Context, to, proxy *url.URL, request []byte, read func(*bufio.Reader) (last bool, err error)) error {
	r := route{scheme: to.Scheme, host: hostPort(to)}
	if proxy != nil {
		r.proxy = proxy.String()
	}
	start, waited := time.Now(), time.Duration(0)
	err := t.inTurn(ctx, to, proxy, t.host(r), request, read, &waited)
	if err != nil && waited > time.Since(start)/2 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrBusy // what was left of the time says nothing of the endpoint
	}
	return err
}

// inTurn does so, and adds what it waited for its turn.
func (t *Transport) inTurn(ctx context.Context, to, proxy *url.URL, h *host, request []byte, read func(*bufio.Reader) (last bool, err error), waited *time.Duration) error {
	if err := h.enter(ctx, waited); err != nil {
		return err
	}
	defer func() { <-h.slots }()
	for again := false; ; again = true {
		c, kept, err := t.connection(ctx, to, h, proxy, again, waited)
		if err != nil {
			return err
		}
		last := false
		silent, err := c.exchange(ctx, request, func(in *bufio.Reader) (err error) {
			last, err = read(in)
			return err
		})
		if err == nil {
			if last || c.in.Buffered() > 0 {
				_ = c.Close()
			} else {
				t.keep(h, c)
			}
			return nil
		}
		_ = c.Close()
		// The other side may have ended a kept connection just now.
		if !kept || !silent || ctx.Err() != nil {
			return err
		}
	}
}

// connection returns a kept connection or, with anew or where there is none, a
// new one.
func (t *Transport) connection(ctx context.Context, to *url.URL, h *host, proxy *url.URL, anew bool, waited *time.Duration) (c *conn, kept bool, err error) {
	if !anew {
		if c := t.take(h); c != nil {
			return c, true, nil
		}
	}
	select {
	case h.dials <- struct{}{}:
	default:
		since := time.Now()
		c, err := t.wait(ctx, h, anew)
		if *waited += time.Since(since); c != nil || err != nil {
			return c, true, err
		}
	}
	defer func() { <-h.dials }()
	c, err = t.dial(ctx, to, proxy)
	return c, false, err
}

// wait waits for a connection that becomes idle, if it may be such a one, or for
// its turn to make one; then c is nil.
func (t *Transport) wait(ctx context.Context, h *host, anew bool) (c *conn, err error) {
	freed := h.freed
	if anew {
		freed = nil
	}
	// Before the look at those that are idle, so that keep tells of the next.
	h.waiting.Add(1)
	defer h.waiting.Add(-1)
	for {
		if !anew {
			if c := t.take(h); c != nil {
				return c, nil
			}
		}
		select {
		case h.dials <- struct{}{}:
			return nil, nil
		case <-freed:
		case <-ctx.Done():
			return nil, ErrBusy
		}
	}
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return u.Host + ":80"
	}
	return u.Host + ":443"
}

func (t *Transport) host(r route) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[r]
	if h == nil {
		h = &host{slots: make(chan struct{}, maxConns), dials: make(chan struct{}, maxDials), freed: make(chan struct{}, maxConns)}
		t.hosts[r] = h
	}
	return h
}

// enter waits for a turn; it is left by taking from slots.
func (h *host) enter(ctx context.Context, waited *time.Duration) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	since := time.Now()
	defer func() { *waited += time.Since(since) }()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

// take returns a kept connection on which nothing has happened, or nil.
func (t *Transport) take(h *host) *conn {
	for {
		t.mu.Lock()
		n := len(h.idle)
		if n == 0 {
			t.mu.Unlock()
			return nil
		}
		c := h.idle[n-1]
		h.idle[n-1], h.idle = nil, h.idle[:n-1]
		t.kept--
		t.mu.Unlock()
		if c.quiet() {
			return c
		}
		_ = c.Close()
	}
}

// keep puts a connection aside for the next request.
func (t *Transport) keep(h *host, c *conn) {
	c.used = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept >= maxIdle {
		_ = c.Close()
		return
	}
	h.idle = append(h.idle, c)
	t.kept++
	if h.waiting.Load() > 0 {
		select {
		case h.freed <- struct{}{}:
		default: // as many are told as there can be
		}
	}
	if t.reaper == nil {
		t.reaper = time.AfterFunc(idleTimeout, t.reap)
	}
}

// reap closes the connections that lay idle for long.
func (t *Transport) reap() { t.closeIdle(time.Now().Add(-idleTimeout)) }

// CloseIdleConnections closes the connections that carry no request.
func (t *Transport) CloseIdleConnections() {
	t.closeIdle(time.Now())
	t.other.CloseIdleConnections()
}

func (t *Transport) closeIdle(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		n := 0
		for n < len(h.idle) && !h.idle[n].used.After(before) {
			_ = h.idle[n].Close()
			n++
		}
		h.idle = append([]*conn(nil), h.idle[n:]...)
		t.kept -= n
	}
	if t.reaper != nil && t.kept > 0 {
		t.reaper.Reset(idleTimeout / 2)
		return
	}
	if t.reaper != nil {
		t.reaper.Stop()
		t.reaper = nil
	}
}

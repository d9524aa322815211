package verify

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// script is a server that answers connections by hand: talk is called for each
// with its number.
func script(t *testing.T, config *tls.Config, talk func(n int, c net.Conn, in *bufio.Reader)) *url.URL {
	t.Helper()
	return scriptAt(t, "127.0.0.1:0", config, talk)
}

func scriptAt(t *testing.T, address string, config *tls.Config, talk func(n int, c net.Conn, in *bufio.Reader)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("nothing can listen at %s here: %v", address, err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				encrypted := c
				if config != nil {
					encrypted = tls.Server(c, config)
				}
				talk(n, encrypted, bufio.NewReader(encrypted))
			})
		}
	})
	u := &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}
	if config != nil {
		u.Scheme = "https"
	}
	return u
}

// hear reads one request's header, false at the connection's end.
func hear(in *bufio.Reader) (*http.Request, bool) {
	req, err := http.ReadRequest(in)
	return req, err == nil
}

func say(w io.Writer, text string) {
	fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

func trip(ctx context.Context, tr *Transport, u *url.URL) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// direct is a transport without a proxy that trusts the pool.
func direct(t *testing.T, roots *x509.CertPool) *Transport {
	tr := newTransport(func(*http.Request) (*url.URL, error) { return nil, nil }, &tls.Config{RootCAs: roots})
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// pair is a certificate for 127.0.0.1 with the pool that trusts it.
func pair(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{Certificates: srv.TLS.Certificates}, roots
}

func TestTransportKeepsConnections(t *testing.T) {
	server, roots := pair(t)
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": server} {
		t.Run(name, func(t *testing.T) {
			u := script(t, config, func(n int, c net.Conn, in *bufio.Reader) {
				for i := 0; ; i++ {
					if _, ok := hear(in); !ok {
						return
					}
					say(c, fmt.Sprintf("%d.%d", n, i))
					if n == 0 && i == 1 {
						return // ends while it lies idle
					}
				}
			})
			tr := direct(t, roots)
			for _, want := range []string{"0.0", "0.1", "1.0", "1.1"} {
				if got, err := trip(t.Context(), tr, u); got != want || err != nil {
					t.Fatalf("got %s, %v, want %s", got, err, want)
				}
			}
			tr.CloseIdleConnections()
			if got, err := trip(t.Context(), tr, u); got != "2.0" || err != nil {
				t.Errorf("after CloseIdleConnections: %s, %v", got, err)
			}
			tr.closeIdle(time.Now().Add(-idleTimeout))
			if tr.kept != 1 || tr.reaper == nil {
				t.Errorf("a young connection is gone: %d", tr.kept)
			}
			tr.closeIdle(time.Now())
			if tr.kept != 0 || tr.reaper != nil {
				t.Errorf("%d connections are kept", tr.kept)
			}
		})
	}
}

// TestTransportTakesNoStrayAnswer: what a server sends without being asked is
// not taken for the next request's answer, which is another principal's.
func TestTransportTakesNoStrayAnswer(t *testing.T) {
	server, roots := pair(t)
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": server} {
		t.Run(name, func(t *testing.T) {
			var more atomic.Bool
			stray := make(chan struct{})
			u := script(t, config, func(n int, c net.Conn, in *bufio.Reader) {
				for {
					req, ok := hear(in)
					if !ok {
						return
					}
					text := "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
					both := text + req.URL.RawQuery + text + "x"
					if more.Load() { // in one go, or a moment later
						_, _ = io.WriteString(c, both)
						continue
					}
					_, _ = io.WriteString(c, both[:len(text)+1])
					_, _ = io.WriteString(c, both[len(text)+1:])
					stray <- struct{}{}
				}
			})
			tr := direct(t, roots)
			for i := range 6 {
				more.Store(i < 3)
				asked := *u
				asked.RawQuery = fmt.Sprint(i)
				got, err := trip(t.Context(), tr, &asked)
				if got != asked.RawQuery || err != nil {
					t.Fatalf("%d: got %q, %v", i, got, err)
				}
				if i >= 3 {
					<-stray
				}
			}
		})
	}
}

func TestTransportByProxy(t *testing.T) {
	server, roots := pair(t)
	answer := map[string]string{
		"good":      "HTTP/1.1 200 Connection established\r\n\r\n",
		"refuses":   "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
		"redirects": "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",
		"talks":     "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"no HTTP":   "SSH-2.0\r\n\r\n",
		"silent":    "",
		"endless":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200_000),
	}
	var asked atomic.Value
	proxies := map[string]*url.URL{}
	for name, text := range answer {
		proxies[name] = script(t, nil, func(_ int, c net.Conn, in *bufio.Reader) {
			req, ok := hear(in)
			if !ok {
				return
			}
			asked.Store(req.Method + " " + req.URL.Host + " " + req.Header.Get("Proxy-Authorization"))
			_, _ = io.WriteString(c, text)
			if name != "good" {
				_, _ = in.ReadByte()
				return
			}
			encrypted := tls.Server(c, server)
			for in := bufio.NewReader(encrypted); ; {
				if _, ok := hear(in); !ok {
					return
				}
				say(encrypted, "through")
			}
		})
		proxies[name].User = url.UserPassword("me", "secret")
	}
	socks := &url.URL{Scheme: "socks5", Host: "127.0.0.1:1"}
	proxies["socks"] = socks
	u := &url.URL{Scheme: "https", Host: "127.0.0.1", Path: "/"}
	for name, want := range map[string]string{
		"good": "", "refuses": "answers CONNECT with status 407", "redirects": "answers CONNECT with status 302",
		"talks": "sends more than an answer", "no HTTP": "the answer is no HTTP/1.1", "silent": "context deadline exceeded",
		"endless": "unexpected EOF", "socks": "connection refused",
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransport(func(*http.Request) (*url.URL, error) { return proxies[name], nil }, &tls.Config{RootCAs: roots})
			defer tr.CloseIdleConnections()
			for range 2 {
				limit := 5 * time.Second
				if name == "silent" {
					limit = 50 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				got, err := trip(ctx, tr, u)
				cancel()
				if want == "" && (got != "through" || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("got %q, %v, want %s", got, err, want)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("the error shows the proxy's password: %v", err)
				}
			}
			if name == "good" && asked.Load() != "CONNECT 127.0.0.1:443 Basic bWU6c2VjcmV0" {
				t.Errorf("the proxy was asked %v", asked.Load())
			}
		})
	}
}

func TestTransportBadAnswers(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want, body string }{
		"preliminary":      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "", "ok"},
		"chunked":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", "ok"},
		"until the end":    {"HTTP/1.0 200 OK\r\n\r\nok", "", "ok"},
		"only hints":       {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9), "no answer after five preliminary ones", ""},
		"a long header":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 3*maxAnswer), "the answer is longer than 64 KiB", ""},
		"a long body":      {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), "the answer is longer than 64 KiB", ""},
		"cut off":          {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "unexpected EOF", ""},
		"nothing":          {"", "EOF", ""},
		"another protocol": {"220 smtp\r\n\r\n", `malformed HTTP status code "smtp"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := script(t, nil, func(_ int, c net.Conn, in *bufio.Reader) {
				if _, ok := hear(in); ok {
					_, _ = io.WriteString(c, tt.answer)
				}
			})
			got, err := trip(t.Context(), direct(t, nil), u)
			if tt.want == "" && (err != nil || got != tt.body) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %q, %v, want %q, %s", got, err, tt.body, tt.want)
			}
		})
	}
}

// TestTransportBounds: nobody waits longer than the context, for a turn or for
// an answer.
func TestTransportBounds(t *testing.T) {
	busy := make(chan struct{}, maxConns)
	release := make(chan struct{})
	u := script(t, nil, func(_ int, c net.Conn, in *bufio.Reader) {
		if _, ok := hear(in); ok {
			busy <- struct{}{}
			<-release
			say(c, "late")
		}
	})
	tr := direct(t, nil)
	var wg sync.WaitGroup
	var late atomic.Int32
	for range maxConns {
		wg.Go(func() {
			if got, err := trip(t.Context(), tr, u); got == "late" && err == nil {
				late.Add(1)
			}
		})
	}
	for range maxConns {
		<-busy
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := trip(ctx, tr, u); !errors.Is(err, ErrBusy) {
		t.Errorf("without a turn: %v", err)
	}
	close(release)
	wg.Wait()
	if late.Load() != maxConns {
		t.Errorf("%d answers", late.Load())
	}
	mute := script(t, nil, func(_ int, _ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) })
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := trip(ctx, tr, mute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}

// TestTransportLateTurn: a request that waited for most of its time is not the
// endpoint's to answer for.
func TestTransportLateTurn(t *testing.T) {
	release := make(chan struct{})
	u := script(t, nil, func(n int, c net.Conn, in *bufio.Reader) {
		if _, ok := hear(in); ok && n < maxConns {
			<-release
			say(c, "hello")
		}
		_, _ = io.Copy(io.Discard, in) // never answers again
	})
	tr := direct(t, nil)
	var wg sync.WaitGroup
	for range maxConns {
		wg.Go(func() { _, _ = trip(t.Context(), tr, u) })
	}
	for len(tr.host(route{scheme: "http", host: u.Host}).slots) < maxConns {
		runtime.Gosched()
	}
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := trip(ctx, tr, u); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	wg.Wait()
}

// TestTransportDialsFew: of many requests at once a few shake hands, and the
// others use what comes of it.
func TestTransportDialsFew(t *testing.T) {
	server, roots := pair(t)
	var now, most atomic.Int32
	var once sync.Once
	full, release := make(chan struct{}), make(chan struct{})
	config := server.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			old := most.Load()
			if n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		if n == maxDials {
			once.Do(func() { close(full) })
		}
		<-release
		return nil, nil
	}
	u := script(t, config, func(_ int, c net.Conn, in *bufio.Reader) {
		for {
			if _, ok := hear(in); !ok {
				return
			}
			say(c, "hello")
		}
	})
	tr := direct(t, roots)
	var wg sync.WaitGroup
	for range 4 * maxDials {
		wg.Go(func() {
			if got, err := trip(t.Context(), tr, u); got != "hello" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	<-full
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := trip(ctx, tr, u); !errors.Is(err, ErrBusy) {
		t.Errorf("without a turn: %v", err)
	}
	close(release)
	wg.Wait()
	if most.Load() != maxDials {
		t.Errorf("%d shook hands at once, want %d", most.Load(), maxDials)
	}
}

// TestTransportTriesOtherAddresses: of a host's addresses one that ends each
// connection does not stand in the way of the others.
func TestTransportTriesOtherAddresses(t *testing.T) {
	server, _ := pair(t)
	var broken atomic.Int32
	u := script(t, nil, func(_ int, _ net.Conn, in *bufio.Reader) {
		broken.Add(1)
		_, _ = in.ReadByte()
	})
	// Linux has the whole of 127.0.0.0/8.
	scriptAt(t, net.JoinHostPort("127.0.0.2", u.Port()), server, func(_ int, c net.Conn, in *bufio.Reader) {
		for {
			if _, ok := hear(in); !ok {
				return
			}
			say(c, "well")
		}
	})
	tr := newTransport(func(*http.Request) (*url.URL, error) { return nil, nil }, &tls.Config{InsecureSkipVerify: true})
	defer tr.CloseIdleConnections()
	tr.lookup = func(context.Context, string) ([]string, error) {
		return []string{"127.0.0.1", "127.0.0.3", "127.0.0.2"}, nil
	}
	u.Scheme = "https"
	for range 2 { // the second time the connection is kept
		if got, err := trip(t.Context(), tr, u); got != "well" || err != nil || broken.Load() != 1 {
			t.Errorf("got %q, %v, after %d tries of the broken one", got, err, broken.Load())
		}
	}
	tr.lookup = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	tr.CloseIdleConnections()
	if _, err := trip(t.Context(), tr, u); err == nil {
		t.Error("no address is left, and there is no error")
	}
}

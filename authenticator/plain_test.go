package authenticator

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// post is a review as a client sends it, with more lines in its header.
func post(body string, header ...string) string {
	lines := append([]string{"POST /authenticate HTTP/1.1", "Host: x", "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body))}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// wire is a connection on which requests are written byte by byte as a test has
// them.
type wire struct {
	*tls.Conn
	in *bufio.Reader
}

func (s *served) wire(t *testing.T) *wire {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: s.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{c, bufio.NewReader(c)}
}

func (w *wire) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func (w *wire) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// TestPlain sends what clients send, and what they do not, behind a review on
// one connection, and wants the answer that net/http gives to a first request.
func TestPlain(t *testing.T) {
	w := newWorld(t, nil)
	s := serve(t, w.Handler, nil)
	token := tokenAt(t, alice, time.Now())
	good := body("v1", token)
	chunked := "POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good)
	for name, text := range map[string]string{
		"a review":               post(good),
		"v1beta1":                post(body("v1beta1", token)),
		"what API servers send":  post(good, "User-Agent: kube-apiserver/v1.35.4", "Accept: application/json, */*", "Accept-Encoding: gzip"),
		"with a timeout":         strings.Replace(post(good), "/authenticate ", "/authenticate?timeout=30s ", 1),
		"another token":          post(body("v1", tokenAt(t, w.session("admin", "bob"), time.Now()))),
		"nobody":                 post(body("v1", tokenAt(t, w.session("nobody", "eve"), time.Now()))),
		"no token":               post(body("v1", "")),
		"escapes":                post(strings.Replace(good, "TokenReview", `\u0054okenReview`, 1)),
		"chunks":                 chunked,
		"chunks and a length":    strings.Replace(chunked, "Host: x", "Host: x\r\nContent-Length: 5", 1),
		"two lengths":            post(good, "Content-Length: 5"),
		"the same length twice":  post(good, fmt.Sprint("Content-Length: ", len(good))),
		"a signed length":        strings.Replace(post(good), "Content-Length: ", "Content-Length: +", 1),
		"no host":                strings.Replace(post(good), "Host: x\r\n", "", 1),
		"two hosts":              post(good, "Host: y"),
		"a folded line":          post(good, "Accept: a\r\n b"),
		"a space before a colon": post(good, "Accept : a"),
		"a bare newline":         post(good, "Accept: a\nAccept-Charset: utf-8"),
		"HTTP/1.0":               strings.Replace(post(good), "HTTP/1.1", "HTTP/1.0", 1),
		"close":                  post(good, "Connection: close"),
		"a type":                 strings.Replace(post(good), "application/json", "text/plain", 1),
		"a type with a charset":  strings.Replace(post(good), "application/json", "application/json; charset=utf-8", 1),
		"no JSON":                post("{"),
		"another kind":           post(strings.Replace(good, "TokenReview", "Pod", 1)),
		"too long":               post(strings.Repeat(" ", maxBody+1)),
		"a long header":          post(good, "Accept: "+strings.Repeat("a", 2*maxHeader)),
		"GET":                    "GET /authenticate HTTP/1.1\r\nHost: x\r\n\r\n",
		"health":                 "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"nowhere":                strings.Replace(post(good), "/authenticate", "/authenticate/x", 1),
		"no HTTP":                "hello\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			first, second := s.wire(t), s.wire(t)
			first.send(t, text)
			want, wantBody := first.answer(t)
			second.send(t, post(good))
			second.answer(t)
			second.send(t, text)
			got, gotBody := second.answer(t)
			if got.StatusCode != want.StatusCode || gotBody != wantBody || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") || got.Close != want.Close {
				t.Errorf("after a review: %d %s %v\nfirst: %d %s %v", got.StatusCode, gotBody, got.Header, want.StatusCode, wantBody, want.Header)
			}
		})
	}
}

// TestPlainPieces: requests that come byte by byte or several at once.
func TestPlainPieces(t *testing.T) {
	w := newWorld(t, nil)
	s := serve(t, w.Handler, nil)
	c := s.wire(t)
	review := post(body("v1", tokenAt(t, alice, time.Now())))
	c.send(t, strings.Repeat(review, 3))
	for i := range 3 {
		if resp, text := c.answer(t); resp.StatusCode != 200 || !strings.Contains(text, "alice") || resp.Header.Get("Date") == "" {
			t.Errorf("%d: %d %s", i, resp.StatusCode, text)
		}
	}
	for _, b := range []byte(review) {
		c.send(t, string(b))
	}
	// net/http sorts its header.
	const taken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
	if head, err := c.in.Peek(len(taken)); string(head) != taken {
		t.Errorf("the connection was not taken over: %q, %v", head, err)
	}
	if resp, text := c.answer(t); resp.StatusCode != 200 || !strings.Contains(text, "alice") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	// Throttled by STS, with the time to wait.
	w.aws.Fail(awsfake.Fault{Action: "*", Throttle: true})
	c.send(t, post(body("v1", tokenAt(t, alice, time.Now().Add(-time.Minute)))))
	if resp, text := c.answer(t); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || strings.Contains(text, "alice") {
		t.Errorf("%d %s %v", resp.StatusCode, text, resp.Header)
	}
}

// TestPlainEnd: at the end a review that is under way is answered, connections
// that wait for a request are let go, and nothing is left.
func TestPlainEnd(t *testing.T) {
	w := newWorld(t, nil)
	s := serve(t, w.Handler, nil)
	review := post(body("v1", tokenAt(t, alice, time.Now())))
	idle, busy := s.wire(t), s.wire(t)
	for _, c := range []*wire{idle, busy} {
		for range 2 {
			c.send(t, review)
			c.answer(t)
		}
	}
	w.aws.Fail(awsfake.Fault{Action: "*", Times: 1, Delay: 300 * time.Millisecond})
	busy.send(t, post(body("v1", tokenAt(t, w.session("admin", "bob"), time.Now()))))
	tick := time.NewTicker(time.Millisecond) // it is under way once the stand-in, which tells nobody, is asked
	defer tick.Stop()
	for range 10000 {
		if <-tick.C; len(w.aws.Calls()) == 2 {
			break
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- s.end() }()
	if _, err := idle.in.ReadByte(); err != io.EOF {
		t.Errorf("the idle one: %v", err)
	}
	if resp, text := busy.answer(t); resp.StatusCode != 200 || !resp.Close || !strings.Contains(text, "admin:bob") {
		t.Errorf("the one under way: %d %v %s", resp.StatusCode, resp.Header, text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzPlainHeader: what is taken is read by net/http in the same way.
func FuzzPlainHeader(f *testing.F) {
	f.Add([]byte(post("{}")))
	f.Add([]byte(post("{}", "User-Agent: a", "Accept: b", "Connection: keep-alive")))
	f.Add([]byte(post("{}", "Transfer-Encoding: chunked")))
	f.Add([]byte(strings.Replace(post("{}"), " HTTP", "?timeout=30s HTTP", 1)))
	f.Fuzz(func(t *testing.T, in []byte) {
		size, length, ok := plainHeader(in)
		if !ok || size == 0 {
			return
		}
		text := append(bytes.Clone(in[:size]), bytes.Repeat([]byte{'x'}, length)...)
		left := bufio.NewReader(bytes.NewReader(append(text, "GET / HTTP/1.1\r\nHost: y\r\n\r\n"...)))
		r, err := http.ReadRequest(left)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", in[:size], err)
		}
		got, err := io.ReadAll(r.Body)
		if err != nil || len(got) != length || r.Method != http.MethodPost || r.URL.Path != "/authenticate" || r.Close || r.ProtoMinor != 1 {
			t.Fatalf("net/http reads %q as %s %s with %d bytes, %v; want %d", in[:size], r.Method, r.URL, len(got), err, length)
		}
		if next, err := http.ReadRequest(left); err != nil || next.Host != "y" {
			t.Fatalf("the request after %q: %v", in[:size], err)
		}
	})
}

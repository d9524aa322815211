package leanhttp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReadResponse(t *testing.T) {
	for _, tt := range []struct{ name, in, body, err string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", ""},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", ""},
		{"to the end", "HTTP/1.0 200 OK\r\n\r\nabc", "abc", ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2 \r\nde\r\n0\r\n\r\n", "abcde", ""},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", "", errNoHTTP.Error()},
		{"a preliminary one", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", ""},
		{"none", "HTTP/1.1 204 No Content\r\n\r\n", "", ""},
		{"nothing", "", "", "EOF"},
		{"no HTTP", "220 mail.example.com ESMTP\r\n\r\n", "", errNoHTTP.Error()},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", "", errNoHTTP.Error()},
		{"no status", "HTTP/1.1 abc OK\r\n\r\n", "", errNoHTTP.Error()},
		{"a sign", "HTTP/1.1 -20 OK\r\n\r\n", "", errNoHTTP.Error()},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "", errNoHTTP.Error()},
		{"preliminary ones without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9), "", errNoHTTP.Error()},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "", errNoHTTP.Error()},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", errNoHTTP.Error()},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "", errNoHTTP.Error()},
		{"a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", errNoHTTP.Error()},
		{"too long", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "", errTooLong.Error()},
		{"too long, to the end", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 11), "", errTooLong.Error()},
		{"too long in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\naaaaaa\r\n6\r\naaaaaa\r\n", "", errTooLong.Error()},
		{"a chunk without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "", errNoHTTP.Error()},
		{"a chunk of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "", errNoHTTP.Error()},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "", "unexpected EOF"},
	} {
		resp, _, err := readResponse(bufio.NewReader(strings.NewReader(tt.in)), "GET", 10)
		if said := errText(err); said != tt.err || string(resp.Body) != tt.body {
			t.Errorf("%s: %q, %s", tt.name, resp.Body, said)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What is read as an answer, net/http reads as the same one.
func FuzzReadResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 No\r\nConnection: keep-alive, close\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := readResponse(bufio.NewReader(bytes.NewReader(data)), "POST", 1<<10)
		if err != nil {
			return
		}
		if len(got.Body) > 1<<10 {
			t.Fatalf("%d bytes", len(got.Body))
		}
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			want, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
			if err != nil {
				t.Fatalf("%q: net/http says %v", data, err)
			}
			if want.StatusCode < 200 {
				continue
			}
			body, err := io.ReadAll(want.Body)
			if err != nil || want.StatusCode != got.Status || !bytes.Equal(body, got.Body) {
				t.Fatalf("%q: %d %q, net/http says %d %q %v", data, got.Status, got.Body, want.StatusCode, body, err)
			}
			return
		}
	})
}

func none(string) string { return "" }

// serve answers each connection with f.
func serve(t *testing.T, f func(net.Conn)) Origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	o, err := ParseOrigin("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A server that says nothing, or does not stop, ends with the time that was given.
func TestBounds(t *testing.T) {
	silent := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	endless := serve(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
				return
			}
		}
	})
	for name, o := range map[string]Origin{"silent": silent, "endless": endless} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		c, err := Dial(ctx, o, none)
		if err != nil {
			t.Fatal(err)
		}
		_, sent, err := c.Do(ctx, Request{Method: "GET", Path: "/", MaxBody: 10})
		if err == nil || !sent {
			t.Errorf("%s: %v", name, err)
		}
		if _, sent, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err == nil || sent {
			t.Errorf("%s: a connection that failed is used again", name)
		}
		_ = c.Close()
	}
}

func TestNothingIsSmuggled(t *testing.T) {
	c := &Conn{origin: Origin{Host: "x", Port: "80"}}
	for _, r := range []Request{
		{Method: "GET", Path: "/", Headers: [][2]string{{"X", "a\r\nY: b"}}},
		{Method: "GET", Path: "/", Headers: [][2]string{{"X", "a\x00"}}},
		{Method: "GET", Path: "/a b"},
		{Method: "GET", Path: "/a\r\n"},
	} {
		if text, err := c.text(r); err == nil {
			t.Errorf("%q", text)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:4711": "127.0.0.1:4711", "https://api.ecr.eu-west-1.amazonaws.com": "api.ecr.eu-west-1.amazonaws.com",
		"https://x.example:443/": "x.example", "http://x.example:443": "x.example:443", "http://[::1]:80": "[::1]", "https://[fd00:ec2::254]:8443": "[fd00:ec2::254]:8443",
		"https://x/y": "", "https://u@x": "", "https://x?": "", "https://x?y": "", "ftp://x": "", "x": "", "": "", "https://": "", "https://X.example": "", "https://x:": "", "https://x_y": "",
		"http://[fe80::1%25eth0]": "",
	} {
		o, err := ParseOrigin(in)
		if (err == nil) != (want != "") || err == nil && o.Authority() != want {
			t.Errorf("%q: %+v %v", in, o, err)
		}
	}
}

func TestProxies(t *testing.T) {
	asked := make(chan string, 1)
	proxy := serve(t, func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			asked <- req.Method + " " + req.Host + " " + req.Header.Get("Proxy-Authorization")
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		}
	})
	at := proxy.Authority()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p"))
	for _, tt := range []struct {
		env  map[string]string
		want string // what the proxy is asked; "direct", "unusual"
	}{
		{map[string]string{"HTTPS_PROXY": "http://" + at}, "CONNECT 192.0.2.1:443 "},
		{map[string]string{"https_proxy": at}, "CONNECT 192.0.2.1:443 "},
		{map[string]string{"HTTPS_PROXY": "http://u:p@" + at}, "CONNECT 192.0.2.1:443 " + basic},
		{map[string]string{"HTTPS_PROXY": "http://" + at, "NO_PROXY": "example.com"}, "CONNECT 192.0.2.1:443 "},
		{map[string]string{"HTTPS_PROXY": "http://" + at, "NO_PROXY": "192.0.2.0/24"}, "direct"},
		{map[string]string{"HTTPS_PROXY": "http://" + at, "no_proxy": "*"}, "direct"},
		{map[string]string{"HTTP_PROXY": "http://" + at}, "direct"},
		{map[string]string{"HTTPS_PROXY": "socks5://" + at}, "unusual"},
		{map[string]string{"HTTPS_PROXY": "https://" + at}, "unusual"},
		{map[string]string{"HTTPS_PROXY": "http://" + at, "REQUEST_METHOD": "GET"}, "unusual"},
	} {
		getenv := func(name string) string { return tt.env[name] }
		o := Origin{TLS: true, Host: "192.0.2.1", Port: "443"}
		got := ""
		if u, err := o.proxy(getenv); errors.Is(err, ErrUnusual) {
			got = "unusual"
		} else if u == nil && err == nil {
			got = "direct"
		} else {
			if _, err := Dial(t.Context(), o, getenv); err == nil || err.Error() != "the proxy "+at+" answers CONNECT with status 407" {
				t.Errorf("%v: %v", tt.env, err)
			}
			got = <-asked
		}
		if got != tt.want {
			t.Errorf("%v: %s", tt.env, got)
		}
	}
	if _, err := (Origin{Host: "x", Port: "80"}).proxy(func(string) string { return "http://" + at }); !errors.Is(err, ErrUnusual) {
		t.Error("a proxy for plain HTTP is net/http's")
	}
}

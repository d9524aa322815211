//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
)

// answers serves a handler on one connection, a request after the other, in
// the goroutine that reads them. net/http would start another for each request
// without a body, to notice a client that goes away; here that would only take
// time that is not the servers'.
func answers(c net.Conn, h http.Handler) {
	defer c.Close()
	in, w := bufio.NewReader(c), &response{}
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		w.status, w.header = http.StatusOK, http.Header{}
		w.body.Reset()
		if !served(w, req, h) {
			if tcp, ok := c.(interface{ NetConn() net.Conn }); ok {
				if t, ok := tcp.NetConn().(*net.TCPConn); ok {
					_ = t.SetLinger(0)
				}
			}
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		var head bytes.Buffer
		head.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " x\r\n")
		w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
		_ = w.header.Write(&head)
		head.WriteString("\r\n")
		_, _ = w.body.WriteTo(&head)
		if _, err := head.WriteTo(c); err != nil {
			return
		}
	}
}

// served calls the handler; false where it wants the connection reset.
func served(w *response, req *http.Request, h http.Handler) (ok bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	h.ServeHTTP(w, req)
	return true
}

// response keeps an answer.
type response struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (r *response) Header() http.Header         { return r.header }
func (r *response) WriteHeader(status int)      { r.status = status }
func (r *response) Write(p []byte) (int, error) { return r.body.Write(p) }

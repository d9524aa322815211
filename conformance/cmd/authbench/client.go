//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client sends requests that are written out beforehand over one connection,
// one after the other. It does as little as can be, because it runs on the
// processors that the servers are measured on.
type client struct {
	address string
	conn    *tls.Conn
	in      *bufio.Reader
	body    []byte
}

// answer is what a client reads of a response. Body is good until the next.
type answer struct {
	status     int
	retryAfter bool
	body       []byte
}

// request writes a TokenReview of a token out as an HTTP request.
func request(token, version string) []byte {
	body := `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/` + version + `","metadata":{"creationTimestamp":null},"spec":{"token":"` + token + `"},"status":{"user":{}}}`
	return []byte("POST /authenticate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func (c *client) dial() error {
	conn, err := tls.Dial("tcp", c.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// do sends a request and reads the answer, within half a minute. After an error
// the next call dials again.
func (c *client) do(request []byte) (answer, error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return answer{}, err
		}
	}
	a, last, err := c.exchange(request)
	if err != nil || last {
		c.close()
	}
	return a, err
}

func (c *client) exchange(request []byte) (a answer, last bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return a, false, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return a, false, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return a, false, fmt.Errorf("no status line: %q", line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, false, err
	}
	length := -1
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return a, false, err
		}
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), ": ")
		if !ok {
			break
		}
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return a, false, err
			}
		case "Retry-After":
			a.retryAfter = true
		case "Connection":
			last = value == "close"
		}
	}
	if length < 0 {
		return a, false, errors.New("the answer has no length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	a.body = c.body[:length]
	_, err = io.ReadFull(c.in, a.body)
	return a, last, err
}

package leanhttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/textproto"
	"strconv"
	"strings"
)

// Request asks something of an origin.
type Request struct {
	Method, Path string
	Headers      [][2]string // beside Host and Content-Length
	Body         string
	MaxBody      int // bound of the answer's body in bytes
}

// Response is an answer, read whole.
type Response struct {
	Status int
	Header textproto.MIMEHeader
	Body   []byte
}

var (
	errTooLong = errors.New("the answer is too long")
	errNoHTTP  = errors.New("the answer is no HTTP/1.1")
)

// Do sends a request and reads its answer. It ends with ctx. After an error the
// connection is of no use any more. sent tells whether any of the request may have
// been seen by the other side.
func (c *Conn) Do(ctx context.Context, r Request) (resp Response, sent bool, err error) {
	if c.done {
		return Response{}, false, errors.New("the connection has ended")
	}
	text, err := c.text(r)
	if err != nil {
		return Response{}, false, err
	}
	release := bound(ctx, c.raw)
	defer release()
	c.done = true
	c.left = maxHead + 2*int64(r.MaxBody)
	if _, err := c.conn.Write(text); err != nil {
		return Response{}, true, err
	}
	resp, ends, err := readResponse(c.in, r.Method, r.MaxBody)
	c.done = err != nil || ends || c.in.Buffered() > 0
	return resp, true, err
}

// text is the request on the wire. A value that could be taken for more than a
// value is an error.
func (c *Conn) text(r Request) ([]byte, error) {
	b := make([]byte, 0, 2<<10)
	b = append(b, r.Method+" "+r.Path+" HTTP/1.1\r\nHost: "+c.origin.Authority()+"\r\n"...)
	if r.Method != "GET" {
		b = append(b, "Content-Length: "+strconv.Itoa(len(r.Body))+"\r\n"...)
	}
	for _, h := range r.Headers {
		if strings.ContainsFunc(h[1], func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, errors.New("a header's value is not plain")
		}
		b = append(b, h[0]+": "+h[1]+"\r\n"...)
	}
	if strings.ContainsFunc(r.Path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the path is not plain")
	}
	b = append(b, "\r\n"...)
	return append(b, r.Body...), nil
}

// readHead reads the status and the headers.
func readHead(in *bufio.Reader) (Response, error) {
	text := textproto.NewReader(in)
	line, err := text.ReadLine()
	if err != nil {
		return Response{}, err
	}
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < 5 || rest[0] != '0' && rest[0] != '1' || rest[1] != ' ' || len(rest) > 5 && rest[5] != ' ' {
		return Response{}, errNoHTTP
	}
	status, err := strconv.Atoi(rest[2:5])
	if err != nil || status < 100 {
		return Response{}, errNoHTTP
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return Response{}, err
	}
	if rest[0] == '0' { // HTTP/1.0 has no codings, and says so where it keeps a connection
		if header["Transfer-Encoding"] != nil {
			return Response{}, errNoHTTP
		}
		if header.Get("Connection") == "" {
			header.Set("Connection", "close")
		}
	}
	return Response{Status: status, Header: header}, nil
}

// readResponse reads an answer whole. ends tells that the connection ends with it.
func readResponse(in *bufio.Reader, method string, maxBody int) (resp Response, ends bool, err error) {
	for i := 0; ; i++ { // 1xx are not the answer yet
		if resp, err = readHead(in); err != nil {
			return Response{}, true, err
		}
		if resp.Status >= 200 {
			break
		}
		if i == 5 || resp.Status == 101 {
			return Response{}, true, errNoHTTP
		}
	}
	lengths, coding := resp.Header["Content-Length"], resp.Header["Transfer-Encoding"]
	ends = hasWord(resp.Header["Connection"], "close")
	switch {
	case method == "HEAD" || resp.Status == 204 || resp.Status == 304:
	case len(coding) > 0:
		if len(coding) > 1 || len(lengths) > 0 || !strings.EqualFold(coding[0], "chunked") {
			return Response{}, true, errNoHTTP
		}
		resp.Body, err = readChunks(in, maxBody)
	case len(lengths) > 0:
		n, convErr := strconv.ParseUint(lengths[0], 10, 62)
		if convErr != nil || len(lengths) > 1 {
			return Response{}, true, errNoHTTP
		}
		if n > uint64(maxBody) {
			return Response{}, true, errTooLong
		}
		resp.Body = make([]byte, n)
		_, err = io.ReadFull(in, resp.Body)
	default:
		ends = true
		resp.Body, err = io.ReadAll(io.LimitReader(in, int64(maxBody)+1))
		if err == nil && len(resp.Body) > maxBody {
			err = errTooLong
		}
	}
	if err != nil {
		return Response{}, true, err
	}
	return resp, ends, nil
}

// readChunks reads a body in chunks, without trailers (RFC 9112, section 7.1).
func readChunks(in *bufio.Reader, maxBody int) ([]byte, error) {
	var body []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		size, ok := strings.CutSuffix(string(line), "\r\n")
		size, _, _ = strings.Cut(size, ";")
		n, err := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 32)
		if err != nil || !ok {
			return nil, errNoHTTP
		}
		if n > uint64(maxBody-len(body)) {
			return nil, errTooLong
		}
		start := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(in, body[start:]); err != nil {
			return nil, err
		}
		var end [2]byte
		if _, err := io.ReadFull(in, end[:]); err != nil {
			return nil, err
		}
		if end != [2]byte{'\r', '\n'} {
			return nil, errNoHTTP
		}
		if n == 0 {
			return body, nil
		}
	}
}

// hasWord tells whether a word is in lists that commas part.
func hasWord(lists []string, word string) bool {
	for _, list := range lists {
		for w := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

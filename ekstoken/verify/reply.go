package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// reply is what counts of an answer in HTTP.
type reply struct {
	status                  int
	contentType, retryAfter string
	body                    []byte
}

func replyOf(resp *http.Response) (reply, error) {
	body, err := readAll(resp.Body)
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Retry-After"), body}, err
}

// readReply reads an answer to a GET. last tells that no other one follows on
// the connection. What is as STS sends it, it reads itself, in a fraction of the
// time; http.ReadResponse reads everything else, so there is one judge of what
// HTTP is.
func readReply(in *bufio.Reader) (r reply, last bool, err error) {
	if header, _ := in.Peek(in.Buffered()); header != nil {
		r, size, length, ok := usualHeader(header)
		if ok {
			_, _ = in.Discard(size)
			r.body = make([]byte, length)
			_, err := io.ReadFull(in, r.body)
			return r, false, err
		}
	}
	resp, body, err := readResponse(in, nil)
	if err != nil {
		return r, true, err
	}
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Retry-After"), body}, resp.Close, nil
}

// readResponse reads an answer whole.
func readResponse(in *bufio.Reader, req *http.Request) (resp *http.Response, body []byte, err error) {
	for range 5 { // 1xx are not the answer yet
		if resp, err = http.ReadResponse(in, req); err != nil {
			return nil, nil, err
		}
		if resp.StatusCode >= 200 {
			body, err = readAll(resp.Body)
			return resp, body, err
		}
	}
	return nil, nil, errors.New("no answer after five preliminary ones")
}

// usualHeader reads the header of an answer that has its length and no line that
// gives the bytes after it another meaning. size is how long the header is and
// length how long the body.
func usualHeader(in []byte) (r reply, size, length int, ok bool) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 || len(in) < 12 || string(in[:9]) != "HTTP/1.1 " {
		return r, 0, 0, false
	}
	line, rest, _ := bytes.Cut(in[:end], []byte("\r\n"))
	status, err := strconv.ParseUint(string(line[9:min(12, len(line))]), 10, 16)
	if err != nil || status < 200 || status > 599 || status == 204 || status == 304 || len(line) > 12 && line[12] != ' ' || !printable(line) {
		return r, 0, 0, false
	}
	r.status, length = int(status), -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !printable(line) {
			return r, 0, 0, false
		}
		value = bytes.Trim(value, " ")
		var room [32]byte // the names that are known fit
		switch string(appendLower(room[:0], name)) {
		case "content-length":
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || n > maxAnswer || length >= 0 {
				return r, 0, 0, false
			}
			length = int(n)
		case "content-type":
			if r.contentType != "" {
				return r, 0, 0, false
			}
			r.contentType = string(value)
		case "retry-after":
			if r.retryAfter != "" {
				return r, 0, 0, false
			}
			r.retryAfter = string(value)
		case "date", "server", "x-amzn-requestid", "x-amz-request-id", "x-amz-sts-extended-request-id":
			// They say nothing here.
		default:
			return r, 0, 0, false
		}
	}
	return r, end + 4, length, length >= 0
}

// appendLower appends a name in ASCII in lower case.
func appendLower(b, name []byte) []byte {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

func printable(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

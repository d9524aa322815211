package authenticator

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// plainHeader reads the header of a request for a review: how long it is and how
// long the body after it. size is 0 while it is not whole. ok is false for what
// is left to net/http, right or wrong: another path or method, a body without
// its length, whatever says how the connection goes on, and what is not exactly
// as RFC 9112 wants it.
func plainHeader(in []byte) (size, length int, ok bool) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, 0, len(in) < maxHeader
	}
	if end > maxHeader {
		return 0, 0, false
	}
	line, rest, _ := bytes.Cut(in[:end], []byte("\r\n"))
	if !plainTarget(line) {
		return 0, 0, false
	}
	length, hosts := -1, 0
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !plainBytes(line) {
			return 0, 0, false
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		switch {
		case is(name, "Host"):
			hosts++
		case is(name, "Content-Length"):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || length >= 0 || n == 0 || n > maxBody {
				return 0, 0, false
			}
			length = int(n)
		case is(name, "Content-Type"):
			if !is(value, "application/json") {
				return 0, 0, false
			}
		case is(name, "User-Agent"), is(name, "Accept"), is(name, "Accept-Encoding"), is(name, "Connection") && is(value, "keep-alive"):
		case is(name, "Authorization"), is(name, "Kubectl-Command"), is(name, "Traceparent"), is(name, "Audit-Id"):
			// They say nothing here.
		default:
			return 0, 0, false
		}
	}
	return end + 4, length, hosts == 1 && length > 0
}

// plainTarget takes the first line of a request for a review, with parameters,
// such as an API server's timeout, or without.
func plainTarget(line []byte) bool {
	line, post := bytes.CutPrefix(line, []byte("POST /authenticate"))
	line, http11 := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if len(line) == 0 {
		return post && http11
	}
	for _, c := range line[1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '=' && c != '&' {
			return false
		}
	}
	return post && http11 && line[0] == '?'
}

// is compares without regard to case, as names in HTTP are.
func is(text []byte, name string) bool {
	return len(text) == len(name) && bytes.EqualFold(text, []byte(name))
}

func plainBytes(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// code is the status of an answer in HTTP.
func (a *answer) code() int {
	switch {
	case a.decision.retry == 0:
		return http.StatusOK
	case a.decision.result == resultThrottled:
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

// retryAfter is the header of that name, in whole seconds; "" for none.
func (a *answer) retryAfter() string {
	if a.decision.retry == 0 {
		return ""
	}
	return strconv.Itoa(int((a.decision.retry + time.Second - 1) / time.Second))
}

// appendHTTP writes an answer as HTTP/1.1.
func (a *answer) appendHTTP(b []byte, apiVersion string, last bool) []byte {
	body := a.body(apiVersion)
	code := a.code()
	b = append(b, "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(code), 10), ' ')
	b = append(b, http.StatusText(code)...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	if after := a.retryAfter(); after != "" {
		b = append(append(b, "\r\nRetry-After: "...), after...)
	}
	if last {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(append(b, "\r\n\r\n"...), body...)
}

package authenticator

import "bytes"

// quick reads a review as API servers write it, in a fraction of the time that
// encoding/json takes: known names, each once, and strings of plain ASCII. ok is
// false for everything else, right or wrong, which is left to encoding/json.
func quick(body []byte) (req request, ok bool) {
	s := scanner{rest: body}
	var apiVersion, kind, token []byte
	ok = s.object(func(name string) bool {
		switch name {
		case "apiVersion":
			return s.text(&apiVersion)
		case "kind":
			return s.text(&kind)
		case "metadata", "status":
			return s.skip(0)
		case "spec":
			return s.object(func(name string) bool {
				switch name {
				case "token":
					return s.text(&token)
				case "audiences":
					return s.skip(0)
				}
				return false
			})
		}
		return false
	})
	s.space()
	if !ok || len(s.rest) > 0 {
		return request{}, false
	}
	req.APIVersion, req.Kind, req.Spec.Token = usual(apiVersion), usual(kind), string(token)
	return req, true
}

// usual makes a string of what is nearly always one of these, without a copy.
func usual(text []byte) string {
	for _, s := range [...]string{groupV1, groupV1beta1, kindReview} {
		if string(text) == s {
			return s
		}
	}
	return string(text)
}

// scanner reads JSON from the front of what is left.
type scanner struct{ rest []byte }

func (s *scanner) space() { s.rest = bytes.TrimLeft(s.rest, " \t\r\n") }

// next takes one character, after space.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// str takes a string of printable ASCII without escapes.
func (s *scanner) str() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	n := bytes.IndexByte(s.rest, '"')
	if n < 0 {
		return nil, false
	}
	text := s.rest[:n]
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			return nil, false
		}
	}
	s.rest = s.rest[n+1:]
	return text, true
}

// text takes a string that has not been there before.
func (s *scanner) text(to *[]byte) bool {
	text, ok := s.str()
	if !ok || *to != nil {
		return false
	}
	*to = text
	return true
}

// object takes an object and calls member at each value. Most names come once
// in what is read; where one comes twice, the reader of the value says no.
func (s *scanner) object(member func(name string) bool) bool {
	return s.list('{', '}', func() bool {
		name, ok := s.str()
		return ok && s.next(':') && member(string(name))
	})
}

// list takes what stands between open and end, with commas between.
func (s *scanner) list(open, end byte, one func() bool) bool {
	if !s.next(open) {
		return false
	}
	if s.next(end) {
		return true
	}
	for one() {
		if s.next(end) {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
	return false
}

// skip takes a value that does not count. Numbers are not among what API
// servers write here.
func (s *scanner) skip(depth int) bool {
	s.space()
	if depth > 8 || len(s.rest) == 0 {
		return false
	}
	switch s.rest[0] {
	case '"':
		_, ok := s.str()
		return ok
	case '{':
		return s.object(func(string) bool { return s.skip(depth + 1) })
	case '[':
		return s.list('[', ']', func() bool { return s.skip(depth + 1) })
	}
	for _, word := range []string{"null", "true", "false"} {
		if rest, ok := bytes.CutPrefix(s.rest, []byte(word)); ok {
			s.rest = rest
			return true
		}
	}
	return false
}

package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Reasons for which a line is no event.
var (
	errTruncated = errors.New("the line ends inside an event")
	errSyntax    = errors.New("not JSON")
	errNoTime    = errors.New("an event without a usable requestReceivedTimestamp")
	errDeep      = errors.New("nested too deeply")
)

// walker goes over JSON text once. It is strict about the objects that it
// looks into and only matches brackets in what it passes over.
type walker struct {
	b []byte
	i int
}

// maxDepth bounds the nesting of brackets in one value.
const maxDepth = 10000

func (w *walker) space() {
	for w.i < len(w.b) {
		switch w.b[w.i] {
		case ' ', '\t', '\r', '\n':
			w.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is no white space, or 0 at the end.
func (w *walker) peek() byte {
	if w.i < len(w.b) && w.b[w.i] > ' ' {
		return w.b[w.i]
	}
	w.space()
	if w.i < len(w.b) {
		return w.b[w.i]
	}
	return 0
}

func (w *walker) fail() error {
	if w.i >= len(w.b) {
		return errTruncated
	}
	return errSyntax
}

func (w *walker) expect(c byte) error {
	if w.peek() != c {
		return w.fail()
	}
	w.i++
	return nil
}

// raw returns the text between the quotes of the string at w.i, and whether it
// holds an escape.
func (w *walker) raw() (s []byte, escaped bool, err error) {
	if w.peek() != '"' {
		return nil, false, w.fail()
	}
	start := w.i + 1
	for at := start; ; {
		n := bytes.IndexByte(w.b[at:], '"')
		if n < 0 {
			w.i = len(w.b)
			return nil, false, errTruncated
		}
		end := at + n
		if end == start || w.b[end-1] != '\\' {
			w.i = end + 1
			s = w.b[start:end]
			return s, escaped || bytes.IndexByte(s, '\\') >= 0, nil
		}
		slashes := 0
		for k := end - 1; k >= start && w.b[k] == '\\'; k-- {
			slashes++
		}
		escaped = true
		at = end + 1
		if slashes%2 == 0 {
			w.i = at
			return w.b[start:end], true, nil
		}
	}
}

// str returns the string at w.i with its escapes undone.
func (w *walker) str() ([]byte, error) {
	s, escaped, err := w.raw()
	if err != nil || !escaped {
		return s, err
	}
	return unescape(s)
}

// unescape undoes the escapes of the text between two quotes.
func unescape(s []byte) ([]byte, error) {
	quoted := make([]byte, 0, len(s)+2)
	quoted = append(append(append(quoted, '"'), s...), '"')
	var out string
	if json.Unmarshal(quoted, &out) != nil {
		return nil, errSyntax
	}
	return []byte(out), nil
}

// skipString passes over the string at w.i.
func (w *walker) skipString() error {
	for at := w.i + 1; ; {
		n := bytes.IndexByte(w.b[at:], '"')
		if n < 0 {
			w.i = len(w.b)
			return errTruncated
		}
		end := at + n
		k := end
		for k > w.i+1 && w.b[k-1] == '\\' {
			k--
		}
		if (end-k)%2 == 0 {
			w.i = end + 1
			return nil
		}
		at = end + 1
	}
}

// skip passes over the value at w.i.
func (w *walker) skip() error {
	switch c := w.peek(); {
	case c == '"':
		return w.skipString()
	case c == '{' || c == '[':
		depth := 0
		for w.i < len(w.b) {
			switch w.b[w.i] {
			case '"':
				if err := w.skipString(); err != nil {
					return err
				}
				continue
			case '{', '[':
				if depth++; depth > maxDepth {
					return errDeep
				}
			case '}', ']':
				if depth--; depth == 0 {
					w.i++
					return nil
				}
			}
			w.i++
		}
		return errTruncated
	case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n':
		for w.i++; w.i < len(w.b); w.i++ {
			switch c := w.b[w.i]; {
			case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c == '.', c == '+', c == '-', c == 'E':
			default:
				return nil
			}
		}
		return nil
	}
	return w.fail()
}

// value passes over the value at w.i and returns its text.
func (w *walker) value() ([]byte, error) {
	w.space()
	start := w.i
	err := w.skip()
	return w.b[start:w.i], err
}

// object calls field with each key of the object at w.i; field must pass over
// the value.
func (w *walker) object(field func(key []byte) error) error {
	if err := w.expect('{'); err != nil {
		return err
	}
	if w.peek() == '}' {
		w.i++
		return nil
	}
	for {
		key, err := w.str()
		if err != nil {
			return err
		}
		if err := w.expect(':'); err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
		switch w.peek() {
		case ',':
			w.i++
		case '}':
			w.i++
			return nil
		default:
			return w.fail()
		}
	}
}

// array calls item at each element of the array at w.i; item must pass over it.
func (w *walker) array(item func() error) error {
	if err := w.expect('['); err != nil {
		return err
	}
	if w.peek() == ']' {
		w.i++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch w.peek() {
		case ',':
			w.i++
		case ']':
			w.i++
			return nil
		default:
			return w.fail()
		}
	}
}

// strOr returns the string at w.i, or nothing if another kind of value is there.
func (w *walker) strOr() ([]byte, error) {
	if w.peek() == '"' {
		return w.str()
	}
	return nil, w.skip()
}

// first returns the first string of the array at w.i, or nothing.
func (w *walker) first() ([]byte, error) {
	if w.peek() != '[' {
		return nil, w.skip()
	}
	var out []byte
	n := 0
	err := w.array(func() (err error) {
		if n++; n == 1 {
			out, err = w.strOr()
			return err
		}
		return w.skip()
	})
	return out, err
}

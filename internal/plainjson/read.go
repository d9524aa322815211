package plainjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Value returns the first JSON value of a text, without white space, and what
// stands behind it. The error is a [*SyntaxError].
func Value(text []byte) (value, rest []byte, err error) {
	s := scanner{text: text}
	s.space()
	begin := s.at
	if err := s.value(0); err != nil {
		return nil, nil, err
	}
	return text[begin:s.at], text[s.at:], nil
}

// Valid tells whether a text is one JSON value.
func Valid(text []byte) bool {
	_, rest, err := Value(text)
	s := scanner{text: rest}
	s.space()
	return err == nil && s.at == len(rest)
}

// Object returns the members of the JSON object that the text is, in order. A
// name may come twice. ok is false where it is none.
func Object(text []byte) (members []Member, ok bool) {
	s := scanner{text: text}
	if s.next() != '{' {
		return nil, false
	}
	err := s.members(1, func(name, value [2]int) {
		members = append(members, Member{unquote(text[name[0]+1 : name[1]-1]), text[value[0]:value[1]]})
	})
	if s.space(); err != nil || s.at != len(text) {
		return nil, false
	}
	return members, true
}

// String returns what the JSON string means that the text is. What is no UTF-8 in
// it, and halves of surrogate pairs, become U+FFFD.
func String(text []byte) (value string, ok bool) {
	s := scanner{text: text}
	if s.next() != '"' {
		return "", false
	}
	begin := s.at + 1
	if s.quoted() != nil {
		return "", false
	}
	end := s.at - 1
	if s.space(); s.at != len(text) {
		return "", false
	}
	return unquote(text[begin:end]), true
}

// unquote decodes the valid inside of a string.
func unquote(in []byte) string {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); {
		switch c := in[i]; {
		case c == '\\':
			var r rune
			r, i = escaped(in, i+1)
			out = utf8.AppendRune(out, r)
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, n := utf8.DecodeRune(in[i:])
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return string(out)
}

// escaped decodes the escape behind a backslash, and returns where it ends.
func escaped(in []byte, at int) (rune, int) {
	switch c := in[at]; c {
	case 'b':
		return '\b', at + 1
	case 'f':
		return '\f', at + 1
	case 'n':
		return '\n', at + 1
	case 'r':
		return '\r', at + 1
	case 't':
		return '\t', at + 1
	case 'u':
		r := hex4(in[at+1:])
		at += 5
		if utf16.IsSurrogate(r) {
			if len(in)-at >= 6 && in[at] == '\\' && in[at+1] == 'u' {
				if both := utf16.DecodeRune(r, hex4(in[at+2:])); both != utf8.RuneError {
					return both, at + 6
				}
			}
			return utf8.RuneError, at
		}
		return r, at
	default:
		return rune(c), at + 1
	}
}

func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

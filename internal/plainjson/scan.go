package plainjson

// maxDepth bounds how deep lists and objects may lie in each other, as
// encoding/json does.
const maxDepth = 10000

// scanner walks over a text.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// fail is the error for the byte at which the scanner stands, or for the end.
func (s *scanner) fail() error {
	if s.at >= len(s.text) {
		return &SyntaxError{}
	}
	return &SyntaxError{Offset: s.at + 1}
}

// next passes over white space and returns the byte behind it, 0 at the end.
func (s *scanner) next() byte {
	s.space()
	return s.here()
}

// value passes over one value.
func (s *scanner) value(depth int) error {
	switch c := s.next(); {
	case c == '{':
		return s.members(depth+1, nil)
	case c == '[':
		return s.list(depth + 1)
	case c == '"':
		return s.quoted()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.fail()
}

// members passes over an object, and hands each of its members to f, where that
// is not nil, with the places where name and value begin and end.
func (s *scanner) members(depth int, f func(name, value [2]int)) error {
	if depth > maxDepth {
		return s.fail()
	}
	s.at++
	if s.next() == '}' {
		s.at++
		return nil
	}
	for {
		var name, value [2]int
		if s.next() != '"' {
			return s.fail()
		}
		name[0] = s.at
		if err := s.quoted(); err != nil {
			return err
		}
		name[1] = s.at
		if s.next() != ':' {
			return s.fail()
		}
		s.at++
		s.space()
		value[0] = s.at
		if err := s.value(depth); err != nil {
			return err
		}
		value[1] = s.at
		if f != nil {
			f(name, value)
		}
		if done, err := s.more('}'); done || err != nil {
			return err
		}
	}
}

func (s *scanner) list(depth int) error {
	if depth > maxDepth {
		return s.fail()
	}
	s.at++
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if done, err := s.more(']'); done || err != nil {
			return err
		}
	}
}

// more passes over what stands behind an element: a comma, or the end.
func (s *scanner) more(end byte) (done bool, err error) {
	switch s.next() {
	case ',':
		s.at++
		return false, nil
	case end:
		s.at++
		return true, nil
	}
	return false, s.fail()
}

func (s *scanner) word(w string) error {
	for i := range len(w) {
		if s.at >= len(s.text) || s.text[s.at] != w[i] {
			return s.fail()
		}
		s.at++
	}
	return nil
}

// quoted passes over a string.
func (s *scanner) quoted() error {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c < ' ':
			return s.fail()
		case c == '\\':
			s.at++
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return s.fail()
}

// escape passes over what follows a backslash, but for its last byte.
func (s *scanner) escape() error {
	if s.at >= len(s.text) {
		return s.fail()
	}
	switch s.text[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			s.at++
			if s.at >= len(s.text) || !isHex(s.text[s.at]) {
				return s.fail()
			}
		}
		return nil
	}
	return s.fail()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) number() error {
	if s.text[s.at] == '-' {
		s.at++
	}
	switch c := s.here(); {
	case c == '0':
		s.at++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.fail()
	}
	if s.here() == '.' {
		s.at++
		if !s.digits() {
			return s.fail()
		}
	}
	if c := s.here(); c == 'e' || c == 'E' {
		s.at++
		if c := s.here(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.fail()
		}
	}
	return nil
}

// here is the byte at which the scanner stands, 0 at the end.
func (s *scanner) here() byte {
	if s.at >= len(s.text) {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) digits() (some bool) {
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
		some = true
	}
	return some
}

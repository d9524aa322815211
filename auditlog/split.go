package auditlog

import "bytes"

// maxEvent bounds one event, without the objects of its request and response.
// Longer ones are counted and left out.
const maxEvent = 4 << 20

// splitter takes JSON apart that arrives in pieces: a line too long for a
// block, or a document over many lines. It hands on each object that may be an
// event, leaves out the objects of requests and responses, and holds no more
// than maxEvent bytes.
type splitter struct {
	emit func(object []byte)
	// long counts objects beyond maxEvent.
	long int64

	depth  int
	bad    bool // brackets don't match, or nothing that JSON begins with
	inText bool
	escape bool
	last   []byte // the beginning of the last string
	key    []byte // the last string, if a colon followed
	open   [64]byte

	list    int // the depth at which objects are elements of a list; 0 is the top
	record  int // the depth from which an object is recorded, -1 for none
	dropped int // the depth of a value that is left out, -1 for none
	over    bool
	buf     []byte
}

// listKeys name the lists of events in envelopes that are written as one
// document.
func isListKey(key []byte) bool {
	switch string(key) {
	case "items", "logEvents", "records", "Records", "events", "results":
		return true
	}
	return false
}

func isObjectKey(key []byte) bool {
	return string(key) == "requestObject" || string(key) == "responseObject"
}

func newSplitter(emit func([]byte)) *splitter {
	return &splitter{emit: emit, record: -1, dropped: -1, list: 0}
}

// whole tells whether the input so far ended outside any value.
func (s *splitter) whole() bool { return s.depth == 0 && !s.inText && !s.bad }

func (s *splitter) keep(p []byte) {
	if s.record < 0 || s.dropped >= 0 || s.over {
		return
	}
	if len(s.buf)+len(p) > maxEvent {
		s.over = true
		s.buf = s.buf[:0]
		return
	}
	s.buf = append(s.buf, p...)
}

// feed takes the next piece.
func (s *splitter) feed(p []byte) {
	from := 0 // what of p is not yet kept
	for i := 0; i < len(p); i++ {
		if s.bad {
			return
		}
		if s.inText {
			i += s.text(p[i:]) - 1
			continue
		}
		switch c := p[i]; c {
		case '"':
			s.inText = true
			s.last = s.last[:0]
		case ':':
			s.key = append(s.key[:0], s.last...)
			continue
		case ',', ' ', '\t', '\r', '\n':
			if c == ',' {
				s.key = s.key[:0]
			}
			continue
		case '{', '[':
			s.keep(p[from:i])
			from = i
			s.push(c)
		case '}', ']':
			s.keep(p[from:i])
			from = i + 1
			s.pop(c)
		default:
			if s.depth == 0 {
				s.bad = true
			}
		}
	}
	s.keep(p[from:])
}

// text passes over the inside of a string and returns how many bytes it took.
func (s *splitter) text(p []byte) int {
	if s.escape {
		s.escape = false
		s.note(p[:1])
		return 1
	}
	n := bytes.IndexByte(p, '"')
	if n < 0 {
		n = len(p)
	}
	if k := bytes.IndexByte(p[:n], '\\'); k >= 0 {
		s.note(p[:k+1])
		s.escape = true
		return k + 1
	}
	s.note(p[:n])
	if n < len(p) {
		s.inText = false
		n++
	}
	return n
}

// note keeps the beginning of a string, enough to know a key by.
func (s *splitter) note(p []byte) {
	if room := 24 - len(s.last); room > 0 {
		s.last = append(s.last, p[:min(room, len(p))]...)
	}
}

func (s *splitter) push(c byte) {
	switch {
	case s.record >= 0 && s.dropped < 0 && s.depth == s.record+1 && isObjectKey(s.key):
		s.keep([]byte("null"))
		s.dropped = s.depth
	case s.depth == 0 && c == '[':
		s.list = 1
	case s.record == 0 && s.depth == 1 && c == '[' && isListKey(s.key):
		s.record, s.over, s.buf = -1, false, s.buf[:0] // the envelope itself is no event
		s.list = 2
	case s.record < 0 && s.depth == s.list && (c == '{' || s.list > 0):
		s.record, s.over, s.buf = s.depth, false, s.buf[:0]
	}
	if s.depth < len(s.open) {
		s.open[s.depth] = c
	}
	s.depth++
	s.key = s.key[:0]
}

func (s *splitter) pop(c byte) {
	if s.depth == 0 || s.depth <= len(s.open) && s.open[s.depth-1] != c-2 {
		s.bad = true
		return
	}
	s.depth--
	s.key = s.key[:0]
	if s.dropped >= 0 {
		if s.depth == s.dropped {
			s.dropped = -1
		}
		return
	}
	s.keep([]byte{c})
	if s.depth == s.record {
		if s.over {
			s.long++
		} else {
			s.emit(s.buf)
		}
		s.record, s.over, s.buf = -1, false, s.buf[:0]
	}
	switch {
	case s.depth == 0:
		s.list = 0
	case s.depth < s.list:
		s.list = -1 // what follows the list in its envelope is no event
	}
}

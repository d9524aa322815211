package auditlog

import "bytes"

// maxEvent bounds one event, without the objects of its request and response.
// Longer ones are counted and left out.
const maxEvent = 4 << 20

// maxHead bounds what is kept of an envelope when its list begins.
const maxHead = 64 << 10

// splitter takes JSON apart that arrives in pieces: a line too long for a
// block, or a document over many lines. It hands on each value that may hold an
// event, leaves out the objects of requests and responses, and holds no more
// than maxEvent bytes.
//
// An envelope is handed on too, its lists empty, when it ends: there may be an
// event beside them.
type splitter struct {
	emit func(part)
	// long counts objects beyond maxEvent.
	long int64

	depth  int
	bad    bool // brackets don't match, or nothing that JSON begins with
	inText bool
	escape bool
	last   []byte // the beginning of the last string
	key    []byte // the last string, if a colon followed
	open   [64]byte
	role   [64]role

	// nest are the records and lists that are open, and buf the text of the
	// records, one behind the other.
	nest    []nested
	buf     []byte
	dropped int // the depth of a value that is left out, -1 for none
}

// part is a value that a splitter hands on.
type part struct {
	text []byte
	// list is the key of the list that it is of, "" for none.
	list string
	// emptied tells that it is an envelope whose lists were handed on before.
	emptied bool
}

// role is what a bracket means: a list of values that may hold events, or an
// object in which such lists may be.
type role uint8

const (
	isList role = iota + 1
	isEnvelope
)

type nested struct {
	list    bool
	text    bool   // a string of a list
	key     string // of a list
	depth   int
	off     int // where a record's text begins
	over    bool
	emptied bool
}

// listKey returns how a list of events is called in envelopes that are written as
// one document, or "" for another key. See wrapKey.
func listKey(key []byte) string {
	switch string(key) {
	case "items", "logEvents", "records", "Records", "events", "results", "data", "hits", "responses", "result", "streams", "values",
		"rows", "Rows", "datarows", "tables", "Tables", "messages", "resourceLogs", "scopeLogs", "logRecords":
		return string(key)
	}
	return ""
}

// isInnerKey tells whether a key is of an object around such a list.
func isInnerKey(key []byte) bool {
	switch string(key) {
	case "data", "hits", "response", "rawResponse":
		return true
	}
	return false
}

func isObjectKey(key []byte) bool {
	return string(key) == "requestObject" || string(key) == "responseObject"
}

func newSplitter(emit func(part)) *splitter {
	return &splitter{emit: emit, dropped: -1}
}

// whole tells whether the input so far ended outside any value.
func (s *splitter) whole() bool { return s.depth == 0 && !s.inText && !s.bad }

// record returns the record that is being read, or nil.
func (s *splitter) record() *nested {
	if n := len(s.nest); n > 0 && !s.nest[n-1].list {
		return &s.nest[n-1]
	}
	return nil
}

// inList tells whether the next value is one of a list.
func (s *splitter) inList() bool {
	return s.depth > 0 && s.depth <= len(s.role) && s.role[s.depth-1] == isList && s.record() == nil
}

func (s *splitter) keep(p []byte) {
	r := s.record()
	if r == nil || s.dropped >= 0 || r.over {
		return
	}
	if len(s.buf)+len(p) > maxEvent {
		r.over = true
		s.buf = s.buf[:r.off]
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
			if r := s.record(); !s.inText && r != nil && r.text {
				s.keep(p[from : i+1])
				from = i + 1
				s.end()
			}
			continue
		}
		switch c := p[i]; c {
		case '"':
			s.inText = true
			s.last = s.last[:0]
			if s.inList() {
				from = i
				s.begin(true)
			}
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

// begin opens a record.
func (s *splitter) begin(text bool) {
	s.nest = append(s.nest, nested{text: text, depth: s.depth, off: len(s.buf)})
}

// end hands the record on.
func (s *splitter) end() {
	r := s.nest[len(s.nest)-1]
	s.nest = s.nest[:len(s.nest)-1]
	list := ""
	if n := len(s.nest); n > 0 {
		list = s.nest[n-1].key
	}
	switch {
	case r.over && !r.emptied:
		s.long++
	case !r.over:
		s.emit(part{s.withHead(r, list), list, r.emptied})
	}
	s.buf = s.buf[:r.off]
}

// withHead returns a record's text. A table's row means nothing without the names
// of the columns, which stand before the rows in their envelope.
func (s *splitter) withHead(r nested, list string) []byte {
	if n := len(s.nest); n > 1 && isRows(list) && !s.nest[n-2].over {
		outer := s.nest[n-2]
		s.buf = append(s.buf, ']')
		for d := outer.depth; d < s.nest[n-1].depth; d++ {
			s.buf = append(s.buf, '}')
		}
		return s.buf[outer.off:]
	}
	return s.buf[r.off:]
}

func (s *splitter) push(c byte) {
	within, mine := role(0), role(0)
	if s.depth > 0 && s.depth <= len(s.role) {
		within = s.role[s.depth-1]
	}
	r := s.record()
	switch key := listKey(s.key); {
	case s.dropped >= 0:
	case r != nil && s.depth > r.depth && isObjectKey(s.key):
		s.keep([]byte("null"))
		s.dropped = s.depth
	case c == '[' && (s.depth == 0 || within == isEnvelope && key != ""):
		mine = isList
		if r != nil {
			s.keep([]byte{c})
			r.emptied = true
			if len(s.buf)-r.off > maxHead {
				r.over = true
				s.buf = s.buf[:r.off]
			}
		}
		s.nest = append(s.nest, nested{list: true, key: key, depth: s.depth})
	case r == nil && (s.depth == 0 || within == isList):
		s.begin(false)
		if c == '{' {
			mine = isEnvelope
		}
	case c == '{' && within == isEnvelope && isInnerKey(s.key):
		mine = isEnvelope
	}
	if s.depth < len(s.open) {
		s.open[s.depth], s.role[s.depth] = c, mine
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
	if n := len(s.nest); n > 0 && s.nest[n-1].list && s.nest[n-1].depth == s.depth {
		s.nest = s.nest[:n-1]
	}
	s.keep([]byte{c})
	if r := s.record(); r != nil && r.depth == s.depth && !r.text {
		s.end()
	}
}

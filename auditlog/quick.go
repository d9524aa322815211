package auditlog

import "bytes"

// Nearly all of an event's text is known beforehand: its keys stand in one order
// and without spaces, and a token's holder is the same text in each of its
// events. quick compares it instead of walking over it. What makes that safe:
// inside a string every quote is escaped, so none of the texts compared, which
// all hold bare quotes, can be imitated by what a client sends. What is not
// looked at (the object's reference, the objects of request and response) is
// not judged either: a line that is damaged there alone counts as whole.

const (
	quickStart  = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"`
	quickStage  = `","stage":"Re`
	quickCode   = `"metadata":{},"code":`
	quickFailed = `"metadata":{},"status":"Failure","message":"`
	quickAgent  = `],"userAgent":"`
	quickNext   = `,"`
)

const uuidLen = 36

var quote = []byte{'"'}

// quick reads an event of the shape in which the API server writes it, and that
// takes up the whole line. It reports false for any other.
func (d *decoder) quick(line []byte, ev *Event) (ok bool) {
	c := cursor{b: line}
	if !c.take(quickStart) {
		if !c.take(keyStart) {
			return false
		}
		if _, ok = c.until(); !ok || !c.take(keyAuditID) {
			return false
		}
	}
	if ev.AuditID, ok = c.id(); !ok {
		return false
	}
	if c.take(quickStage) {
		from := c.i - len("Re")
		n := bytes.IndexByte(line[c.i:min(c.i+20, len(line))], '"')
		if n < 0 {
			return false
		}
		c.i += n
		ev.Stage = line[from:c.i]
	} else if !c.take(keyStage) {
		return false
	} else if ev.Stage, ok = c.until(); !ok || len(ev.Stage) == 0 {
		return false
	}
	if !c.take(keyURI) || !c.pass() || !c.take(keyVerb) || !c.pass() || !c.take(keyUser) || !d.sender(&c, ev) {
		return false
	}
	if !d.client(&c, ev) {
		return false
	}
	return c.about(ev) && d.when(&c, ev) && d.notes(&c, ev)
}

// id returns the audit id, up to its quote.
func (c *cursor) id() ([]byte, bool) {
	from := c.i
	if to := from + uuidLen; to < len(c.b) && c.b[to] == '"' && plain(c.b[from:to]) {
		c.i = to
		return c.b[from:to], true
	}
	id, ok := c.until()
	return id, ok && len(id) > 0
}

// about passes over what the request was about, and reads the response's code.
func (c *cursor) about(ev *Event) bool {
	if c.take(keyObject) {
		n := bytes.IndexByte(c.b[c.i:], '}')
		if n < 0 {
			return false
		}
		// The bracket may be one of a text.
		if ref := c.b[c.i : c.i+n]; bytes.Count(ref, quote)%2 != 0 || bytes.IndexByte(ref, '\\') >= 0 {
			return false
		}
		c.i += n + 1
	}
	if c.take(keyStatus) && !c.status(ev) {
		return false
	}
	return c.at(',') && (c.has(keyTime) || c.objects(ev))
}

// status reads responseStatus, up to and over its bracket. Its code is a key of
// its own level, the last one.
func (c *cursor) status(ev *Event) (ok bool) {
	if c.take(quickCode) {
		if len(c.b) < c.i+4 || c.b[c.i+3] != '}' {
			return false
		}
		ev.Code, ok = digits(c.b[c.i : c.i+3])
		c.i += 4
		return ok
	}
	from := c.i
	if c.take(quickFailed) && !c.pass() || !c.rest() {
		return false
	}
	const key = `"code":`
	if at := c.i - len(key) - len("404}"); at > from && string(c.b[at:at+len(key)]) == key {
		if ev.Code, ok = digits(c.b[c.i-4 : c.i-1]); ok {
			return true
		}
	}
	w := walker{b: c.b[from-1 : c.i]}
	return status(&w, ev) == nil
}

// tailSize is how much of a line's end may hold an event's times and
// annotations, behind the objects of its request and response.
const tailSize = 2 << 10

// has tells whether the text comes next.
func (c *cursor) has(text string) bool {
	return len(c.b)-c.i >= len(text) && string(c.b[c.i:c.i+len(text)]) == text
}

// objects passes over the objects of request and response without looking into
// them: the event goes on at the last of its times' keys. A line that may hold
// a second event is left to the walk, as is anything that counts as evidence.
func (c *cursor) objects(ev *Event) bool {
	if ev.Code == 401 || !c.has(keyRequest) && !c.has(keyResponse) {
		return false
	}
	at := lastTime(c.b[c.i:])
	if at < 0 || holdsEvent(c.b[c.i:c.i+at]) || bytes.Contains(c.b[c.i+at:], []byte("stale-token")) {
		return false
	}
	c.i += at
	return true
}

// lastTime returns where the last of the times' keys begins near the end of a
// line, or -1.
func lastTime(line []byte) int {
	const before = len(`,"request`)
	from, found := max(0, len(line)-tailSize), -1
	for at := from + before; at < len(line); at++ {
		n := bytes.IndexByte(line[at:], 'R')
		if n < 0 {
			break
		}
		at += n
		if start := at - before; len(line)-start >= len(keyTime) && string(line[start:start+len(keyTime)]) == keyTime {
			found = start
		}
	}
	return found
}

// holdsEvent tells whether a text may hold the beginning of an event.
func holdsEvent(text []byte) bool {
	const key, before = `"auditID":"`, len(`"audit`)
	for at := before; at < len(text); at++ {
		n := bytes.IndexByte(text[at:], 'I')
		if n < 0 {
			return false
		}
		at += n
		if from := at - before; len(text)-from >= len(key) && string(text[from:from+len(key)]) == key {
			return true
		}
	}
	return false
}

// when reads the times of an event.
func (d *decoder) when(c *cursor, ev *Event) (ok bool) {
	d.times = c.i
	if !c.take(keyTime) {
		return false
	}
	at, ok := c.text()
	if !ok {
		return false
	}
	if ev.Time, ok = d.clock.parse(at); !ok || !c.take(keyStaged) {
		return false
	}
	// Nearly always as long as the other, and then there is no need to search.
	if end := c.i + microTime; end < len(c.b) && c.b[end] == '"' && plain(c.b[c.i:end]) {
		c.i = end + 1
		return true
	}
	return c.pass()
}

// notes reads the annotations, up to the end of the event. A sender's requests
// mostly end alike, and an ending that holds nothing of interest is known again.
func (d *decoder) notes(c *cursor, ev *Event) bool {
	end, s := c.b[c.i:], ev.Sender
	if s != nil {
		if last := s.ending.Load(); last != nil && last.size == len(end) && d.known.next(end, last) {
			return true
		}
	}
	if c.take(keyNotes) && !c.annotations(ev) || c.i != len(c.b)-1 || c.b[c.i] != '}' {
		return false
	}
	if s != nil && ev.Mark == nil && ev.Issued == nil && s.differs.Add(1)%4 == 1 {
		k := d.known.known(end)
		s.ending.Store(&k)
	}
	return true
}

// client reads the addresses and the user agent.
func (d *decoder) client(c *cursor, ev *Event) (ok bool) {
	s, list := ev.Sender, c.b[c.i:]
	if s != nil {
		if last := s.last.Load(); last != nil && d.known.next(list, &last.list) {
			c.i += last.list.size
			last.tell(list, ev)
			return true
		}
	}
	agent := false
	if c.take(keyIPs) {
		if ev.SourceIP, ok = c.text(); !ok {
			return false
		}
		for c.take(quickNext) {
			if !c.pass() {
				return false
			}
		}
		if c.i >= len(c.b) || c.b[c.i] != ']' {
			return false
		}
		if agent = c.take(quickAgent); agent {
			if ev.UserAgent, ok = c.text(); !ok {
				return false
			}
		} else {
			c.i++
		}
	} else if agent = c.take(keyAgent); agent {
		if ev.UserAgent, ok = c.text(); !ok {
			return false
		}
	}
	if n := len(list) - len(c.b[c.i:]); s != nil && agent && n <= maxKept && s.misses.Add(1)%4 == 1 {
		ev.Client = &Client{d.known.known(list[:n]), spanOf(list, ev.SourceIP), spanOf(list, ev.UserAgent)}
		s.last.Store(ev.Client)
	}
	return true
}

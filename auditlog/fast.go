package auditlog

import "bytes"

// The API server writes the keys of an event in one order and without spaces
// (the order of the struct in k8s.io/apiserver pkg/apis/audit/v1/types.go). An
// event that looks so is walked key by key, without asking what each key is;
// anything unexpected sends it to the general walk, which judges it.

var (
	keyStart   = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"`)
	keyAuditID = []byte(`","auditID":"`)
	keyStage   = []byte(`","stage":"`)
	keyURI     = []byte(`","requestURI":"`)
	keyVerb    = []byte(`,"verb":"`)
	keyUser    = []byte(`,"user":{`)
	keyName    = []byte(`"username":"`)
	keyExtra   = []byte(`,"extra":{`)
	keyIPs     = []byte(`,"sourceIPs":["`)
	keyAgent   = []byte(`,"userAgent":"`)
	keyObject  = []byte(`,"objectRef":{`)
	keyStatus  = []byte(`,"responseStatus":{`)
	keyTime    = []byte(`,"requestReceivedTimestamp":"`)
	keyStaged  = []byte(`,"stageTimestamp":"`)
	keyNotes   = []byte(`,"annotations":{`)
	keyMark    = []byte(`"authentication.k8s.io/stale-token":"`)
	extraStart = []byte(`"authentication.kubernetes.io/`)
)

// cursor walks over an event whose keys stand in the usual order.
type cursor struct {
	b []byte
	i int
}

// take passes over the text if it comes next.
func (c *cursor) take(text []byte) bool {
	if len(c.b)-c.i < len(text) || string(c.b[c.i:c.i+len(text)]) != string(text) {
		return false
	}
	c.i += len(text)
	return true
}

// until returns what comes before the next quote, and stops at the quote. It
// reports false where there is an escape.
func (c *cursor) until() ([]byte, bool) {
	n := bytes.IndexByte(c.b[c.i:], '"')
	if n < 0 {
		return nil, false
	}
	s := c.b[c.i : c.i+n]
	c.i += n
	return s, bytes.IndexByte(s, '\\') < 0
}

// text is until, and passes over the quote.
func (c *cursor) text() ([]byte, bool) {
	s, ok := c.until()
	c.i++
	return s, ok
}

// pass passes over the rest of a string, escapes and all.
func (c *cursor) pass() bool {
	w := walker{c.b, c.i - 1}
	if w.skipString() != nil {
		return false
	}
	c.i = w.i
	return true
}

// rest passes over the rest of an object whose bracket has been passed.
func (c *cursor) rest() bool {
	w := walker{c.b, c.i}
	for depth := 1; w.i < len(w.b); {
		switch w.b[w.i] {
		case '"':
			if w.skipString() != nil {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.i = w.i + 1
				return true
			}
		}
		w.i++
	}
	return false
}

// usual reads an event whose keys stand in the usual order and that takes up
// the whole line. It reports false for any other line, also for one that is
// damaged.
func usual(line []byte, ev *Event) (ok bool) {
	c := cursor{b: line}
	if !c.take(keyStart) {
		return false
	}
	if _, ok = c.until(); !ok || !c.take(keyAuditID) {
		return false
	}
	if ev.AuditID, ok = c.until(); !ok || len(ev.AuditID) == 0 || !c.take(keyStage) {
		return false
	}
	if ev.Stage, ok = c.until(); !ok || len(ev.Stage) == 0 || !c.take(keyURI) || !c.pass() || !c.take(keyVerb) || !c.pass() {
		return false
	}
	if !c.take(keyUser) || !c.user(ev) {
		return false
	}
	if c.take(keyIPs) {
		if ev.SourceIP, ok = c.text(); !ok {
			return false
		}
		for c.i < len(c.b) && c.b[c.i] == ',' {
			if c.i++; c.i >= len(c.b) || c.b[c.i] != '"' {
				return false
			}
			if c.i++; !c.pass() {
				return false
			}
		}
		if c.i >= len(c.b) || c.b[c.i] != ']' {
			return false
		}
		c.i++
	}
	if c.take(keyAgent) {
		if ev.UserAgent, ok = c.text(); !ok {
			return false
		}
	}
	if c.take(keyObject) && !c.rest() || c.take(keyStatus) && !c.status(ev) {
		return false
	}
	if !c.take(keyTime) {
		return false // a request's or response's object stands before it
	}
	at, ok := c.text()
	if !ok {
		return false
	}
	if ev.Time, ok = parseTime(at); !ok || !c.take(keyStaged) || !c.pass() {
		return false
	}
	if c.take(keyNotes) && !c.annotations(ev) {
		return false
	}
	return c.i == len(c.b)-1 && c.b[c.i] == '}'
}

func (c *cursor) user(ev *Event) (ok bool) {
	if c.take(keyName) {
		if ev.Username, ok = c.text(); !ok {
			return false
		}
	}
	// uid and groups stand between the name and extra.
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case '}':
			c.i++
			return true
		case ',':
			if c.take(keyExtra) {
				return c.extra(ev) && c.end()
			}
			c.i++
		case '"':
			if c.i++; !c.pass() {
				return false
			}
		case ':', '[', ']':
			c.i++
		default:
			return false
		}
	}
	return false
}

// end passes over the bracket that closes the user.
func (c *cursor) end() bool {
	ok := c.i < len(c.b) && c.b[c.i] == '}'
	c.i++
	return ok
}

// extra reads the lists of user.extra, up to and over its bracket.
func (c *cursor) extra(ev *Event) (ok bool) {
	for c.i < len(c.b) {
		if !c.take(extraStart) {
			if c.b[c.i] != '"' {
				return false
			}
			if c.i++; !c.pass() || !c.list() {
				return false
			}
		} else {
			key, ok := c.text()
			if !ok || len(c.b)-c.i < 4 || string(c.b[c.i:c.i+3]) != `:["` {
				return false
			}
			c.i += 3
			value, ok := c.text()
			if !ok || c.i >= len(c.b) || c.b[c.i] != ']' {
				return false
			}
			c.i++
			switch string(key) {
			case "credential-id":
				ev.CredentialID = value
			case "pod-name":
				ev.PodName = value
			case "pod-uid":
				ev.PodUID = value
			case "node-name":
				ev.NodeName = value
			}
		}
		if c.i >= len(c.b) {
			return false
		}
		switch c.b[c.i] {
		case ',':
			c.i++
		case '}':
			c.i++
			return true
		default:
			return false
		}
	}
	return false
}

// list passes over a colon and a list.
func (c *cursor) list() bool {
	if len(c.b)-c.i < 2 || c.b[c.i] != ':' || c.b[c.i+1] != '[' {
		return false
	}
	c.i += 2
	return c.rest()
}

// status reads responseStatus, up to and over its bracket. Its code is a key of
// its own level, the last one.
func (c *cursor) status(ev *Event) bool {
	from := c.i
	if !c.rest() {
		return false
	}
	w := walker{b: c.b[from-1 : c.i]}
	return status(&w, ev) == nil
}

// annotations looks for the mark among the annotations, up to and over their
// bracket.
func (c *cursor) annotations(ev *Event) (ok bool) {
	for c.i < len(c.b) {
		switch {
		case c.b[c.i] == '}':
			c.i++
			return true
		case c.take(keyMark):
			if ev.Mark, ok = c.text(); !ok {
				return false
			}
		case c.b[c.i] == '"':
			if c.i++; !c.pass() || c.i+1 >= len(c.b) || c.b[c.i] != ':' || c.b[c.i+1] != '"' {
				return false
			}
			if c.i += 2; !c.pass() {
				return false
			}
		default:
			return false
		}
		if c.i < len(c.b) && c.b[c.i] == ',' {
			c.i++
		}
	}
	return false
}

package auditlog

import "bytes"

// Most lines of a log are events of level Metadata by a service account, and
// nearly all of their text is known beforehand. quick compares it instead of
// walking over it. What makes that safe: inside a string every quote is
// escaped, so none of the texts compared, which all hold bare quotes, can be
// imitated by what a client sends.

var (
	quickStart  = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"`)
	quickStage  = []byte(`","stage":"Re`)
	quickUser   = []byte(`,"user":{"username":"system:serviceaccount:`)
	quickUID    = []byte(`","uid":"`)
	quickGroups = []byte(`","groups":["system:serviceaccounts","system:serviceaccounts:`)
	quickExtra  = []byte(`","system:authenticated"],"extra":{`)
	quickCode   = []byte(`"metadata":{},"code":`)
	quickAuthz  = []byte(`"authorization.k8s.io/decision":"`)
	quickEnd    = []byte(`"}}`)
)

const uuidLen = 36

// quick reads an event of the most usual shape. It reports false for any other.
func quick(line []byte, ev *Event) (ok bool) {
	c := cursor{b: line}
	if !c.take(quickStart) || len(line) < c.i+uuidLen+400 {
		return false
	}
	ev.AuditID = line[c.i : c.i+uuidLen]
	c.i += uuidLen
	if !c.take(quickStage) {
		return false
	}
	from := c.i - 2
	if n := bytes.IndexByte(line[c.i:c.i+20], '"'); n < 0 {
		return false
	} else {
		c.i += n
	}
	ev.Stage = line[from:c.i]
	if !c.take(keyURI) || !c.pass() || !c.take(keyVerb) || !c.pass() || !c.take(quickUser) {
		return false
	}
	// What follows is at least as long as the fixed texts in it.
	from = c.i - len(accountPrefix)
	name, ok := c.until()
	if !ok {
		return false
	}
	ev.Username = line[from:c.i]
	colon := bytes.IndexByte(name, ':')
	if colon <= 0 || !c.take(quickUID) || len(line) < c.i+uuidLen {
		return false
	}
	c.i += uuidLen
	if !c.take(quickGroups) || !c.take(name[:colon]) || !c.take(quickExtra) || !c.extra(ev) || !c.end() || !c.take(keyIPs) {
		return false
	}
	if ev.SourceIP, ok = c.text(); !ok {
		return false
	}
	for c.i < len(line) && line[c.i] == ',' {
		if c.i += 2; !c.pass() {
			return false
		}
	}
	c.i++ // the bracket; if it is none, what comes next won't fit
	if !c.take(keyAgent) {
		return false
	}
	if ev.UserAgent, ok = c.text(); !ok {
		return false
	}
	if c.take(keyObject) {
		n := bytes.IndexByte(line[c.i:], '}')
		if n < 0 {
			return false
		}
		c.i += n + 1
	}
	if c.take(keyStatus) {
		if !c.take(quickCode) || len(line) < c.i+4 || line[c.i+3] != '}' {
			return false
		}
		if ev.Code, ok = digits(line[c.i : c.i+3]); !ok {
			return false
		}
		c.i += 4
	}
	if !c.take(keyTime) {
		return false
	}
	at, ok := c.text()
	if !ok {
		return false
	}
	if ev.Time, ok = parseTime(at); !ok || !c.take(keyStaged) {
		return false
	}
	if _, ok = c.text(); !ok {
		return false
	}
	if !c.take(keyNotes) {
		return c.i == len(line)-1 && line[c.i] == '}'
	}
	if c.take(keyMark) {
		if ev.Mark, ok = c.until(); !ok {
			return false
		}
		return bytes.Equal(line[c.i:], quickEnd) ||
			c.take([]byte(`",`)) && c.take(quickAuthz) && c.tail()
	}
	// Annotations are sorted, and the mark comes before the decision.
	return c.take(quickAuthz) && c.tail()
}

var accountPrefix = []byte("system:serviceaccount:")

// tail passes over the annotations from the authorizer's decision on. A bracket
// among them may be the beginning of another event, whose writer was faster.
func (c *cursor) tail() bool {
	rest := c.b[c.i:]
	return bytes.HasSuffix(rest, quickEnd) && bytes.IndexByte(rest, '{') < 0
}

// again begins anew with the walk for usual events.
func again(line []byte, ev *Event) bool {
	*ev = Event{}
	return usual(line, ev)
}

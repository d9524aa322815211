package auditlog

import (
	"bytes"
	"encoding/binary"
)

// Most lines of a log are events of level Metadata by a service account, and
// nearly all of their text is known beforehand. quick compares it instead of
// walking over it. What makes that safe: inside a string every quote is
// escaped, so none of the texts compared, which all hold bare quotes, can be
// imitated by what a client sends. What is not looked at (the object's
// reference, the authorizer's reasons) is not judged either: a line that is
// damaged there alone counts as whole.

var (
	quickStart  = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"`)
	quickStage  = []byte(`","stage":"Re`)
	quickUser   = []byte(`,"user":{"username":"system:serviceaccount:`)
	quickUID    = []byte(`","uid":"`)
	quickGroups = []byte(`","groups":["system:serviceaccounts","system:serviceaccounts:`)
	quickExtra  = []byte(`","system:authenticated"],"extra":{`)
	quickCode   = []byte(`"metadata":{},"code":`)
	quickAuthz  = []byte(`"authorization.k8s.io/decision":"`)
	quickMore   = []byte(`",`)
	quickNext   = []byte(`,"`)
	quickAgent  = []byte(`],"userAgent":"`)
	quickEnd    = []byte(`"}}`)
)

// The extra keys of a pod's token, sorted as the server writes them.
var (
	extraID      = []byte(`"authentication.kubernetes.io/credential-id":["JTI=`)
	extraNode    = []byte(`"],"authentication.kubernetes.io/node-name":["`)
	extraNodeUID = []byte(`"],"authentication.kubernetes.io/node-uid":["`)
	extraPod     = []byte(`"],"authentication.kubernetes.io/pod-name":["`)
	extraPodUID  = []byte(`"],"authentication.kubernetes.io/pod-uid":["`)
	extraEnd     = []byte(`"]}`)
)

const uuidLen = 36

// quick reads an event of the most usual shape. It reports false for any other.
func quick(line []byte, ev *Event) (ok bool) {
	c := cursor{b: line}
	if !c.take(quickStart) || len(line) < c.i+uuidLen+400 {
		return false
	}
	if !c.uuid() {
		return false
	}
	ev.AuditID = line[c.i-uuidLen : c.i]
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
	if colon <= 0 || !c.take(quickUID) || !c.uuid() {
		return false
	}
	if !c.take(quickGroups) || !c.take(name[:colon]) || !c.take(quickExtra) || !c.boundExtra(ev) && !c.extra(ev) || !c.end() || !c.take(keyIPs) {
		return false
	}
	if ev.SourceIP, ok = c.text(); !ok {
		return false
	}
	for c.take(quickNext) {
		if !c.pass() {
			return false
		}
	}
	if !c.take(quickAgent) {
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
			c.take(quickMore) && c.take(quickAuthz) && c.tail()
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

// boundExtra reads the extra keys of a token that is bound to a pod, with or
// without a node. Where they are others, it stays where it is.
func (c *cursor) boundExtra(ev *Event) (ok bool) {
	at := c.i
	defer func() {
		if !ok {
			c.i = at
			ev.CredentialID, ev.NodeName, ev.PodName, ev.PodUID = nil, nil, nil, nil
		}
	}()
	if !c.take(extraID) || !c.uuid() {
		return false
	}
	ev.CredentialID = c.b[c.i-uuidLen-len("JTI=") : c.i]
	if c.take(extraNode) {
		if ev.NodeName, ok = c.until(); !ok || !c.take(extraNodeUID) || !c.uuid() {
			return false
		}
	}
	if !c.take(extraPod) {
		return false
	}
	if ev.PodName, ok = c.until(); !ok || !c.take(extraPodUID) || !c.uuid() {
		return false
	}
	ev.PodUID = c.b[c.i-uuidLen : c.i]
	return c.take(extraEnd)
}

// uuid passes over as many bytes as a uid has, none of which ends or escapes
// anything.
func (c *cursor) uuid() bool {
	if c.i+uuidLen > len(c.b) || !plain36(c.b[c.i:c.i+uuidLen]) {
		return false
	}
	c.i += uuidLen
	return true
}

// plain36 tells whether 36 bytes hold neither a quote nor a backslash, eight
// bytes at a time.
func plain36(b []byte) bool {
	const ones, tops, quotes, slashes = 0x0101010101010101, 0x8080808080808080, '"' * 0x0101010101010101, '\\' * 0x0101010101010101
	var found uint64
	for _, i := range [...]int{0, 8, 16, 24, 28} {
		x := binary.LittleEndian.Uint64(b[i:])
		q, s := x^quotes, x^slashes
		found |= (q-ones)&^q | (s-ones)&^s
	}
	return found&tops == 0
}

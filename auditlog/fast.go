package auditlog

import "bytes"

// The API server writes the keys of an event in one order and without spaces
// (the order of the struct in k8s.io/apiserver pkg/apis/audit/v1/types.go). An
// event that looks so is walked key by key, without asking what each key is;
// anything unexpected sends it to the general walk, which judges it.

const (
	keyStart    = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"`
	keyAuditID  = `","auditID":"`
	keyStage    = `","stage":"`
	keyURI      = `","requestURI":"`
	keyVerb     = `,"verb":"`
	keyUser     = `,"user":{`
	keyName     = `"username":"`
	keyUID      = `"uid":"`
	keyGroups   = `"groups":[`
	keyExtra    = `"extra":{`
	keyIPs      = `,"sourceIPs":["`
	keyAgent    = `,"userAgent":"`
	keyObject   = `,"objectRef":{`
	keyStatus   = `,"responseStatus":{`
	keyRequest  = `,"requestObject":`
	keyResponse = `,"responseObject":`
	keyTime     = `,"requestReceivedTimestamp":"`
	keyStaged   = `,"stageTimestamp":"`
	keyNotes    = `,"annotations":{`
	extraPrefix = `authentication.kubernetes.io/`

	staleKey  = "authentication.k8s.io/stale-token"
	issuedKey = "authentication.kubernetes.io/issued-credential-id"
)

// cursor walks over an event whose keys stand in the usual order.
type cursor struct {
	b []byte
	i int
}

// take passes over the text if it comes next.
func (c *cursor) take(text string) bool {
	if len(c.b)-c.i < len(text) || string(c.b[c.i:c.i+len(text)]) != text {
		return false
	}
	c.i += len(text)
	return true
}

// at tells whether the byte comes next.
func (c *cursor) at(b byte) bool { return c.i < len(c.b) && c.b[c.i] == b }

// takeByte is take for one byte.
func (c *cursor) takeByte(b byte) bool {
	if !c.at(b) {
		return false
	}
	c.i++
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

// rest passes over the rest of an object or list whose bracket has been passed.
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

// user reads the user, up to and over its bracket.
func (c *cursor) user(ev *Event) (ok bool) {
	if c.takeByte('}') {
		return true // authentication failed
	}
	if !c.take(keyName) {
		return false
	}
	if ev.Username, ok = c.text(); !ok {
		return false
	}
	for _, key := range []string{keyUID, keyGroups, keyExtra} {
		if !c.at(',') {
			break
		}
		if c.i++; !c.take(key) {
			c.i--
			continue
		}
		switch key {
		case keyUID:
			ev.UserUID, ok = c.text()
		case keyGroups:
			ok = c.rest()
		case keyExtra:
			ok = c.extra(ev)
		}
		if !ok {
			return false
		}
	}
	return c.takeByte('}')
}

// extra reads the lists of user.extra, up to and over its bracket.
func (c *cursor) extra(ev *Event) bool {
	for {
		if !c.takeByte('"') {
			return false
		}
		key, ok := c.text()
		if !ok {
			return false
		}
		var to *[]byte
		switch string(bytes.TrimPrefix(key, []byte(extraPrefix))) {
		case "credential-id":
			to = &ev.CredentialID
		case "pod-name":
			to = &ev.PodName
		case "pod-uid":
			to = &ev.PodUID
		case "node-name":
			to = &ev.NodeName
		}
		switch {
		case to == nil || !bytes.HasPrefix(key, []byte(extraPrefix)):
			if !c.take(":[") || !c.rest() {
				return false
			}
		case *to != nil || !c.take(`:["`):
			return false
		default:
			if *to, ok = c.text(); !ok || !c.takeByte(']') {
				return false
			}
		}
		if c.takeByte('}') {
			return true
		}
		if !c.takeByte(',') {
			return false
		}
	}
}

// annotations looks for the two that count among the annotations, up to and
// over their bracket.
func (c *cursor) annotations(ev *Event) bool {
	if c.takeByte('}') {
		return true
	}
	for {
		if !c.takeByte('"') {
			return false
		}
		key, ok := c.text()
		if !ok || !c.take(`:"`) {
			return false
		}
		switch string(key) {
		case staleKey:
			ev.Mark, ok = c.text()
		case issuedKey:
			ev.Issued, ok = c.text()
		default:
			ok = c.pass()
		}
		if !ok {
			return false
		}
		if c.takeByte('}') {
			return true
		}
		if !c.takeByte(',') {
			return false
		}
	}
}

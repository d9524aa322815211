package authenticator

import (
	"bytes"
	"encoding/json"
)

// size is about what the review that tells of a decision takes, in bytes.
func (d *decision) size() int {
	if d.result != resultAuthenticated || d.scrubbed {
		return 400
	}
	n := 500 + 3*len(d.id.UserID) + len(d.id.ARN) + len(d.id.Canonical) + len(d.id.Session) + len(d.user.Username)
	for _, g := range d.user.Groups {
		n += len(g) + 3
	}
	return n
}

// appendReview writes the TokenReview that is answered (k8s.io/api
// authentication/v1 types.go). status.audiences is left out: the answer holds
// for the API server's own audience, which is what a missing list means.
//
// The error of who is not let in names the review, so that the API server's log
// and this one can be read together, and nothing else: it must not help who
// guesses.
func (a *answer) appendReview(b []byte, apiVersion string) []byte {
	d := &a.decision
	b = append(append(b, `{"apiVersion":"`...), apiVersion...)
	b = append(b, `","kind":"`+kindReview+`","metadata":{"creationTimestamp":null},"spec":{},"status":{"authenticated":`...)
	if d.result != resultAuthenticated {
		b = append(append(b, `false,"error":"not authenticated; the webhook's log says why, review `...), d.review...)
		return append(b, "\"}}\n"...)
	}
	b = appendString(append(b, `true,"user":{"username":`...), d.user.Username)
	b = appendString(append(b, `,"uid":`...), d.uid())
	b = appendStrings(append(b, `,"groups":`...), d.user.Groups...)
	if !d.scrubbed {
		b = d.appendExtra(append(b, `,"extra":{`...))
	}
	return append(b, "}}}\n"...)
}

// uid is that of aws-iam-authenticator (pkg/server/server.go).
func (d *decision) uid() string {
	if d.scrubbed {
		return "aws-iam-authenticator:administrative:" + d.user.Username
	}
	return "aws-iam-authenticator:" + d.id.Account + ":" + d.id.UserID
}

// appendExtra writes the extra fields that aws-iam-authenticator gives. Accounts
// that are to be left out of logs are left out of them too.
func (d *decision) appendExtra(b []byte) []byte {
	for _, field := range [...]struct{ start, value string }{
		{`"accessKeyId":`, d.id.AccessKeyID},
		{`,"arn":`, d.id.ARN},
		{`,"canonicalArn":`, d.id.Canonical},
		{`,"principalId":`, d.id.UserID},
		{`,"sessionName":`, d.id.Session},
		{`,"sigs.k8s.io/aws-iam-authenticator/principalId":`, d.id.UserID},
	} {
		b = appendStrings(append(b, field.start...), field.value)
	}
	return append(b, '}')
}

// appendStrings writes a list.
func appendStrings(b []byte, list ...string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendString writes a string; encoding/json does where anything in it must be
// escaped.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			var escaped bytes.Buffer
			enc := json.NewEncoder(&escaped)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(s) // a string can always be encoded
			return append(b, bytes.TrimSuffix(escaped.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

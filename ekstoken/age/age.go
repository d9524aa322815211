// Package age is the part of package ekstoken that tells the age of a token, for
// programs that start so often that what they link counts: it does without a signer
// and without a reader of URLs. Everybody else finds it all in package ekstoken.
package age

import (
	"encoding/base64"
	"strings"
	"time"
)

// Prefix stands before the base64 part of every token.
const Prefix = "k8s-aws-v1."

const (
	// AnnouncedLife is what clients announce, a minute less than STS takes a token.
	AnnouncedLife = 14 * time.Minute
	// MaxLen bounds a token in bytes. aws-iam-authenticator stops at 4096, which
	// long session tokens exceed.
	MaxLen = 16 << 10
	// DateFormat is that of X-Amz-Date.
	DateFormat = "20060102T150405Z"
)

// SignedAt returns the X-Amz-Date of a token that need not be one that a server
// takes: of any host, and with any parameters. It is what a cache wants to know, which
// hands on tokens and calls nobody.
func SignedAt(token string) (time.Time, bool) {
	encoded, ok := strings.CutPrefix(token, Prefix)
	if !ok || len(token) > MaxLen {
		return time.Time{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return time.Time{}, false
	}
	_, query, _ := strings.Cut(string(raw), "?")
	for param := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(name, "X-Amz-Date") {
			continue
		}
		t, err := time.Parse(DateFormat, value)
		return t, err == nil
	}
	return time.Time{}, false
}

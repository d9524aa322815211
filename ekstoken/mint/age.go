package mint

import (
	"encoding/base64"
	"strings"
	"time"
)

// SignedAt returns the X-Amz-Date of a token that need not be one that a
// server takes: of any host, and with any parameters. It is what a cache wants to know, which hands
// on tokens and calls nobody.
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

package imagecred

import (
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// Secret is a text that does not print itself.
type Secret string

// String returns a mark in place of the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString is the same for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalJSON writes the mark, too.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// Reveal returns the secret itself, for the one who shows it to a registry.
func (s Secret) Reveal() string { return string(s) }

// secretShapes are what a program's stderr may hold and nobody should read: JSON
// web tokens, AWS access keys, and long runs of base64.
var secretShapes = lazyexp.New(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*|\bA(?:KIA|SIA)[A-Z0-9]{12,}|[A-Za-z0-9+/_=-]{40,}|(?i)\b(password|secret|token)(["']?\s*[:=]\s*["']?)[^\s"']+`)

// redacted takes secrets out of a text: those that are known, and what looks
// like one.
func redacted(s string, known ...string) string {
	for _, k := range known {
		if len(k) >= 4 {
			s = replaceAll(s, k)
		}
	}
	return secretShapes().ReplaceAllString(userinfo().ReplaceAllString(s, "$1***@"), "$1$2***")
}

func replaceAll(s, secret string) string { return strings.ReplaceAll(s, secret, "***") }

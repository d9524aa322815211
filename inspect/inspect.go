// Package inspect says what a credential is and what is wrong with it: an EKS
// token, a JWT (a service account's or another issuer's), the ExecCredential or
// CredentialProviderResponse that a plugin printed. It needs no network and shows
// no signature, no secret and no password.
package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/finding"
)

// MaxInput bounds what is inspected, in bytes.
const MaxInput = 1 << 20

// Options say by what a credential is judged.
type Options struct {
	Now time.Time
	// Issuer and Audience are what the API server accepts; "" for not known.
	Issuer, Audience string
}

// Fact is one thing that a credential says of itself.
type Fact struct {
	// Key is the name in JSON, Label the one for people.
	Key, Label string
	// Value is a string, bool, float64 or []string.
	Value any
	// Note is a remark for people behind the value.
	Note string
}

// Credential is what was found.
type Credential struct {
	// Kind is "EKS token", "service account token", "JWT", "ExecCredential" or
	// "CredentialProviderResponse".
	Kind     string
	Facts    []Fact
	Findings []finding.Finding
}

// ErrUnknown is the error for text that is none of the known kinds.
var ErrUnknown = errors.New("neither an EKS token, a JWT, an ExecCredential nor a CredentialProviderResponse")

// Inspect looks at a credential. The error says that it is none; what is wrong
// with one is in the findings.
func Inspect(text string, o Options) (Credential, error) {
	if len(text) > MaxInput {
		return Credential{}, fmt.Errorf("larger than %d KiB: %w", MaxInput>>10, ErrUnknown)
	}
	text = bare(text)
	switch {
	case text == "":
		return Credential{}, errors.New("nothing to inspect")
	case strings.HasPrefix(text, "{"):
		return document(text, o)
	case strings.HasPrefix(text, ekstoken.Prefix):
		return eksToken(text, o), nil
	case isJWT(text):
		return jwt(text, o), nil
	}
	if shape := foreign(text); shape != "" {
		return Credential{}, fmt.Errorf("%s: %w", shape, ErrUnknown)
	}
	return Credential{}, ErrUnknown
}

// bare takes off what a token is often pasted with: white space, quotes, the
// header's name and scheme.
func bare(s string) string {
	s = strings.TrimSpace(s)
	for _, prefix := range []string{"authorization:", "bearer ", "token:"} {
		if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			s = strings.TrimSpace(s[len(prefix):])
		}
	}
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return s
}

// foreign names what people take for one of the known kinds.
func foreign(s string) string {
	switch {
	case strings.HasPrefix(s, "https://sts."):
		return "this is the URL inside an EKS token, not the token"
	case strings.HasPrefix(s, "ya29."):
		return "this is a Google access token, which tells nothing of itself"
	case strings.HasPrefix(s, "EXECCREDENTIAL"):
		return "this is an ExecCredential in the AWS CLI's text format (output = text), which no client reads; pass --output json"
	case strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 4:
		return "this is an encrypted token (JWE), which only its reader can open"
	}
	return ""
}

// document inspects JSON by its kind.
func document(text string, o Options) (Credential, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal([]byte(text), &head); err != nil || head.Kind == "" {
		if strings.Contains(text, "ExecCredential") {
			return execCredential(text, o), nil // cut or doubled: the strict reader says where
		}
		if strings.Contains(text, "CredentialProviderResponse") {
			return providerResponse(text), nil
		}
		return Credential{}, ErrUnknown
	}
	switch head.Kind {
	case "ExecCredential":
		return execCredential(text, o), nil
	case "CredentialProviderResponse":
		return providerResponse(text), nil
	}
	return Credential{}, fmt.Errorf("JSON of kind %.40q: %w", head.Kind, ErrUnknown)
}

func (c *Credential) fact(key, label string, value any, note string) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	}
	c.Facts = append(c.Facts, Fact{key, label, value, note})
}

func (c *Credential) moment(key, label string, t time.Time, note string) {
	if !t.IsZero() {
		c.fact(key, label, t.UTC().Format(time.RFC3339), note)
	}
}

func (c *Credential) add(f finding.Finding) { c.Findings = append(c.Findings, f) }

// span says how far t is from now: "in 5 min", "3 h ago".
func span(t, now time.Time) string {
	if t.After(now) {
		return "in " + finding.Span(t.Sub(now))
	}
	return finding.Span(now.Sub(t)) + " ago"
}

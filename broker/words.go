package broker

import "strings"

// The issuer's words that are kept, in the journal, are those of kubecred-aws,
// which has no secrets in them. What stands here is for the day when it has: AWS
// may quote a request in an error, and another program may have the name.

// minSecret is how long a value must be to be looked for in a text, and minRun how
// long a run of letters and digits is that looks like one.
const (
	minSecret = 8
	minRun    = 40
)

// withoutSecrets takes out of a text the values that are secret by their names,
// of the environment and of the request, and whatever looks like a key, a token
// or a password.
func (a *Ask) withoutSecrets(s string) string {
	for _, v := range a.b.Environ {
		if name, value, _ := strings.Cut(v, "="); len(value) >= minSecret && secretName(name) && !namesPlace(name) {
			s = strings.ReplaceAll(s, value, "***")
		}
	}
	if r, ok := a.road.(imageRoad); ok && r.wants.ServiceAccountToken != "" {
		s = strings.ReplaceAll(s, r.wants.ServiceAccountToken, "***")
	}
	words := strings.Split(s, " ")
	for i, w := range words {
		name, _, ok := strings.Cut(w, "=")
		if !ok {
			name, _, ok = strings.Cut(w, ":")
		}
		if name = strings.Trim(name, `"'{(,`); ok && passwordName(name) && len(w) > len(name)+1 {
			words[i] = name + "=***"
			continue
		}
		if i > 0 && (strings.HasSuffix(words[i-1], ":") || strings.HasSuffix(words[i-1], "=")) && passwordName(words[i-1]) {
			words[i] = "***"
			continue
		}
		words[i] = withoutRuns(w)
	}
	return strings.Join(words, " ")
}

// passwordName tells whether what stands after a name in a text is a secret. A
// word such as credentials is too common there.
func passwordName(name string) bool {
	return secretName(name) && !strings.ContainsAny(name, "/.") && !strings.Contains(strings.ToLower(name), "credential")
}

// namesPlace tells whether a variable says where a secret is.
func namesPlace(name string) bool {
	for _, end := range []string{"_FILE", "_URI", "_URL", "_DIR", "_PATH"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// withoutRuns takes out of a word what looks like a token: a long run of the
// characters of base64 with letters of both cases and digits, an access key, or a
// JSON web token.
func withoutRuns(w string) string {
	var b strings.Builder
	for len(w) > 0 {
		n := strings.IndexFunc(w, func(c rune) bool { return !inBase64(c) })
		if n < 0 {
			n = len(w)
		}
		if run := w[:n]; looksSecret(run) {
			b.WriteString("***")
		} else {
			b.WriteString(run)
		}
		if n < len(w) {
			b.WriteByte(w[n])
			n++
		}
		w = w[n:]
	}
	return b.String()
}

func inBase64(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '_' || c == '-' || c == '='
}

func looksSecret(run string) bool {
	const capitals, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	switch {
	case strings.HasPrefix(run, "eyJ") && len(run) > 10:
		return true
	case (strings.HasPrefix(run, "AKIA") || strings.HasPrefix(run, "ASIA")) && len(run) >= 16 && strings.Trim(run, capitals+digits) == "":
		return true
	}
	return len(run) >= minRun && strings.ContainsAny(run, capitals) && strings.ContainsAny(run, digits) && strings.ToUpper(run) != run
}

package kubeconfig

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// Mask is what stands in place of a secret in anything that is shown.
const Mask = "********"

// secretName tells names of environment variables, flags and keys whose value is
// a secret.
var secretName = lazyexp.New(`(?i)(secret|token|passw|passphrase|credential|private|api[-_]?key|access[-_]?key|client[-_]?key|auth$|_key$|-key$|^key$|pat$)`)

// harmlessName tells names that look like secrets and are not.
var harmlessName = lazyexp.New(`(?i)(token[-_]?file|key[-_]?file|key[-_]?path|token[-_]?path|_file$|-file$|[-_]path$|cache|token[-_]?type|expir|client[-_]?id|token[-_]?url|endpoint|issuer|scope|cluster[-_]?id|access[-_]?key[-_]?id|credentials?[-_]?source|get[-_]?token|token[-_]?only|token[-_]?id$|process$)`)

// secretWords are parts of every name that secretName finds, to pass over the
// many others without a regular expression.
var secretWords = []string{"secret", "token", "passw", "passphrase", "credential", "private", "key", "auth", "pat"}

// isSecretName tells a name that carries a secret.
func isSecretName(name string) bool {
	lower := strings.ToLower(name)
	if !slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(lower, w) }) {
		return false
	}
	return secretName().MatchString(name) && !harmlessName().MatchString(name)
}

// secretValue tells values that are secrets whatever their name.
var secretValue = lazyexp.New(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.|k8s-aws-v1\.[A-Za-z0-9_-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{20,}|\bglpat-[A-Za-z0-9_-]{10,}|\bdop_v1_[a-f0-9]{20,}|\bya29\.[A-Za-z0-9_-]{10,}`)

func looksSecret(v string) bool {
	const shortest = 15 // of what secretValue finds
	return len(v) >= shortest && secretValue().MatchString(v)
}

// Masker hides the secrets of kubeconfigs in text that is shown.
type Masker struct {
	values []string
}

// NewMasker returns a masker for the secrets of the files.
func NewMasker(files ...*File) *Masker {
	m := &Masker{}
	for _, f := range files {
		m.collect(f)
	}
	// Longer ones first, so that a secret that holds another is hidden whole.
	slices.SortFunc(m.values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	m.values = slices.Compact(m.values)
	return m
}

// minSecret is the shortest value that is hidden wherever it stands; a shorter
// one would blot out half the text, and is hidden behind its name.
const minSecret = 6

func (m *Masker) add(values ...string) {
	for _, v := range values {
		for line := range strings.FieldsSeq(v) {
			if len(line) >= minSecret {
				m.values = append(m.values, line)
			}
		}
	}
}

func (m *Masker) collect(f *File) {
	for _, u := range f.Users {
		m.add(u.Token.Value, u.Password.Value, u.KeyData.Value)
		if u.authProvider != nil {
			m.tree(u.authProvider)
		}
		if u.Exec == nil {
			continue
		}
		for _, v := range u.Exec.Env {
			if isSecretName(v.Name.Value) || looksSecret(v.Value.Value) {
				m.add(v.Value.Value)
			}
		}
		for _, s := range argSecrets(u.Exec) {
			m.add(s.value)
		}
	}
}

// tree adds every value below a key that names a secret.
func (m *Masker) tree(n *yaml.Node) {
	for _, p := range pairs(n) {
		switch v := p.resolved(); {
		case v.Kind == yaml.MappingNode:
			m.tree(v)
		case v.Kind == yaml.ScalarNode && (isSecretName(p.name) || looksSecret(v.Value)):
			m.add(v.Value)
		}
	}
}

// argSecret is a secret among the arguments of a plugin.
type argSecret struct {
	name  string // the flag
	value string
	arg   Scalar
}

// argSecrets finds secrets among arguments: --client-secret=x, --client-secret x,
// and values that are secrets by their shape.
func argSecrets(x *Exec) []argSecret {
	var out []argSecret
	for i, a := range x.Args {
		name, val, eq := strings.Cut(a.Value, "=")
		switch {
		case eq && strings.HasPrefix(name, "-") && isSecretName(name) && val != "":
			out = append(out, argSecret{name, val, a})
		case !eq && strings.HasPrefix(name, "-") && isSecretName(name) && i+1 < len(x.Args) &&
			x.Args[i+1].Value != "" && !strings.HasPrefix(x.Args[i+1].Value, "-"):
			out = append(out, argSecret{name, x.Args[i+1].Value, x.Args[i+1]})
		case looksSecret(a.Value):
			out = append(out, argSecret{"an argument", a.Value, a})
		}
	}
	return out
}

// behindName finds values that stand behind the name of a secret, in comments too.
var behindName = lazyexp.New(`(?i)((?:token|password|passwd|client-key-data|secret|access[-_]?key|api[-_]?key|refresh[-_]token|id[-_]token)[A-Za-z0-9_-]*["']?\s*[:=]\s*["']?)([^\s"',}\]]+)`)

// userInfo is a name and password within a URL.
var userInfo = lazyexp.New(`(://)[^/\s"'@]+@`)

// Values returns a text with the secrets of the files masked, and whatever is a
// secret by its shape.
func (m *Masker) Values(s string) string {
	for _, v := range m.values {
		s = strings.ReplaceAll(s, v, Mask)
	}
	s = secretValue().ReplaceAllString(s, Mask)
	return userInfo().ReplaceAllString(s, "${1}"+Mask+"@")
}

// Line returns a line of a file with its secrets masked: those of Values, and
// what stands behind the name of a secret, in a comment too.
func (m *Masker) Line(s string) string {
	s = m.Values(s)
	return behindName().ReplaceAllStringFunc(s, func(hit string) string {
		g := behindName().FindStringSubmatch(hit)
		if harmlessName().MatchString(g[1]) || strings.HasPrefix(g[2], Mask) {
			return hit
		}
		return g[1] + Mask
	})
}

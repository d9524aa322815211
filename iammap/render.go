package iammap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// ClusterUser is who a principal is in the cluster.
type ClusterUser struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

// Resolver finds the private DNS name of an EC2 instance.
type Resolver interface {
	PrivateDNSName(ctx context.Context, instanceID string) (string, error)
}

// The reasons for which an identity that is mapped is refused all the same.
var (
	// ErrReserved: the user name begins with a prefix that is reserved for
	// other sources.
	ErrReserved = errors.New("the user name begins with a reserved prefix")
	// ErrNoInstance: a template wants an EC2 instance and the session's name
	// is no instance id.
	ErrNoInstance = errors.New("the session's name is no instance id, which {{EC2PrivateDNSName}} needs")
	// ErrNoResolver: a template wants an EC2 instance's name, and nobody here
	// can ask EC2 for it.
	ErrNoResolver = errors.New("{{EC2PrivateDNSName}} needs to ask EC2, which is not configured")
)

// placeholders are the names that templates may hold.
var placeholders = []string{"AccountID", "SessionName", "SessionNameRaw", "AccessKeyID", "EC2PrivateDNSName"}

var instanceID = lazyexp.New(`^i-(\w{8}|\w{17})$`)

// User resolves the templates of a match. The error is one of the above,
// wrapped, or the resolver's.
func (t *Table) User(ctx context.Context, m Match, id Identity, dns Resolver) (ClusterUser, error) {
	if m.Entry.Kind == ByAccount {
		return ClusterUser{id.Canonical, []string{}}, nil
	}
	values := map[string]string{
		"AccountID":      id.Account,
		"SessionName":    strings.ReplaceAll(id.Session, "@", "-"),
		"SessionNameRaw": id.Session,
		"AccessKeyID":    id.AccessKeyID,
	}
	if wantsInstance(m.Entry) {
		if !instanceID().MatchString(id.Session) {
			return ClusterUser{}, fmt.Errorf("%w (it is %q)", ErrNoInstance, id.Session)
		}
		if dns == nil {
			return ClusterUser{}, ErrNoResolver
		}
		name, err := dns.PrivateDNSName(ctx, id.Session)
		if err != nil {
			return ClusterUser{}, err
		}
		values["EC2PrivateDNSName"] = name
	}
	u := m.Entry.user(values)
	return u, t.permit(m.Source, u)
}

// permit refuses a user name that a source must not give.
func (t *Table) permit(s *Source, u ClusterUser) error {
	for _, prefix := range t.reservedFor(s) {
		if prefix != "" && strings.HasPrefix(u.Username, prefix) {
			return fmt.Errorf("%w: %q of %s begins with %q", ErrReserved, u.Username, s.Name, prefix)
		}
	}
	return nil
}

func wantsInstance(e *Entry) bool {
	const name = "{{EC2PrivateDNSName}}"
	if strings.Contains(e.Username, name) {
		return true
	}
	for _, g := range e.Groups {
		if strings.Contains(g, name) {
			return true
		}
	}
	return false
}

func (e *Entry) user(values map[string]string) ClusterUser {
	u := ClusterUser{Render(e.Username, values), make([]string, len(e.Groups))}
	for i, g := range e.Groups {
		u.Groups[i] = Render(g, values)
	}
	return u
}

// Render replaces {{Name}} in a template by the values, in one pass: what a
// value brings in is never looked at again, so a session that is named
// {{AccountID}} stays what it is. Names without a value stay as they are.
func Render(template string, values map[string]string) string {
	if !strings.Contains(template, "{{") {
		return template
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		// Of {{{Name}} the inner braces count.
		for strings.HasPrefix(rest, "{") {
			b.WriteByte('{')
			rest = rest[1:]
		}
		name, after, closed := strings.Cut(rest, "}}")
		value, known := values[name]
		if !closed || !known {
			b.WriteString("{{")
			template = rest
			continue
		}
		b.WriteString(value)
		template = after
	}
}

// templateNames returns the names between {{ and }} of a template.
func templateNames(template string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(template, "{{")
		if !ok {
			return out
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return append(out, rest)
		}
		out = append(out, name)
		template = after
	}
}

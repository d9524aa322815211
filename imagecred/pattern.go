package imagecred

import (
	"errors"
	"net"
	"net/url"
	"path"
	"strings"
)

// Pattern is an entry of matchImages, compiled. Its zero value matches nothing;
// a Pattern may be used by several goroutines at once.
type Pattern struct {
	text   string
	port   string
	path   string
	labels []label
	never  string // why no image can match, "" where one can
}

// label is one dot-separated part of a pattern's host.
type label struct {
	text string
	kind labelKind
	// before and after are what stands on either side of a single star.
	before, after string
}

type labelKind uint8

const (
	literal labelKind = iota
	anything
	oneStar
	glob
)

// Compile compiles a pattern. It fails where the kubelet's validation fails,
// with the kubelet's words.
func Compile(text string) (Pattern, error) {
	u, err := parseSchemeless(text)
	if err != nil {
		return Pattern{}, err
	}
	host, port := splitHost(u.Host)
	p := Pattern{text: text, port: port, path: u.Path}
	for part := range strings.SplitSeq(host, ".") {
		p.labels = append(p.labels, compileLabel(part))
	}
	p.never = neverMatches(&p)
	return p, nil
}

func compileLabel(s string) label {
	switch {
	case s == "*":
		return label{text: s, kind: anything}
	case strings.ContainsAny(s, `[\?`):
		return label{text: s, kind: glob}
	case strings.Count(s, "*") == 1:
		before, after, _ := strings.Cut(s, "*")
		return label{text: s, kind: oneStar, before: before, after: after}
	case strings.Contains(s, "*"):
		return label{text: s, kind: glob}
	}
	return label{text: s}
}

// match says whether the label stands for s. A bad glob stands for nothing, as
// in the kubelet, which drops the error.
func (l *label) match(s string) bool {
	switch l.kind {
	case literal:
		return l.text == s
	case anything:
		return true
	case oneStar:
		return len(s) >= len(l.before)+len(l.after) && strings.HasPrefix(s, l.before) && strings.HasSuffix(s, l.after)
	}
	ok, _ := path.Match(l.text, s) // no label holds a slash, so this is filepath.Match everywhere
	return ok
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Match tells whether the kubelet would ask the pattern's provider about the
// image. The ports must be equal, the hosts must have equally many labels that
// match one by one, and the pattern's path must be a prefix of the image's,
// character by character (URLsMatch in pkg/credentialprovider/keyring.go).
func (p *Pattern) Match(t *Target) bool {
	n := len(p.labels)
	if n != t.n || n == 0 || p.port != t.port || !strings.HasPrefix(t.path, p.path) {
		return false
	}
	// From the end: hosts differ there first.
	for i := n - 1; i >= 0; i-- {
		if !p.labels[i].match(t.label(i)) {
			return false
		}
	}
	return true
}

// lenientScheme makes net/url read colons in a host as it did for https before
// Go 1.26, which is how the kubelets in use read them (go.dev/issue/75223).
const lenientScheme = "kubelet://"

// parseSchemeless reads a URL without a scheme as the kubelet does, which puts
// https:// in front (ParseSchemelessURL in pkg/credentialprovider/keyring.go).
func parseSchemeless(s string) (*url.URL, error) {
	u, err := url.Parse(lenientScheme + s)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			return nil, &url.Error{Op: parse.Op, URL: "https://" + strings.TrimPrefix(parse.URL, lenientScheme), Err: parse.Err}
		}
		return nil, err
	}
	return u, nil
}

// splitHost cuts the port off a host (SplitURL in the same file).
func splitHost(hostport string) (host, port string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport, ""
	}
	return host, port
}

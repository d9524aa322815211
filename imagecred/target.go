package imagecred

import "strings"

// inlineLabels is how many labels of a host a Target holds in itself; ECR's
// longest hosts have eight.
const inlineLabels = 10

// Target is what patterns are matched against: a repository, parsed once.
type Target struct {
	repository string
	host       string
	port       string
	path       string
	n          int
	inline     [inlineLabels]string
	more       []string // the labels after the inline ones
}

// NewTarget parses a repository, which is an image's normalised name without
// tag or digest ("docker.io/library/busybox"). It fails for what the kubelet
// cannot read either, such as [0]/x, which is a valid reference and no URL; the
// target is then one that nothing matches.
func NewTarget(repository string) (Target, error) {
	t := Target{repository: repository}
	if !t.parsePlain() {
		u, err := parseSchemeless(repository)
		if err != nil {
			return Target{repository: repository}, err
		}
		t.host, t.port = splitHost(u.Host)
		t.path = u.Path
	}
	rest := t.host
	for {
		part, tail, found := strings.Cut(rest, ".")
		if t.n < inlineLabels {
			t.inline[t.n] = part
		} else {
			t.more = append(t.more, part)
		}
		t.n++
		if !found {
			return t, nil
		}
		rest = tail
	}
}

// parsePlain reads a repository in which nothing is escaped, without net/url.
// It gives up, and returns false, where it is not sure.
func (t *Target) parsePlain() bool {
	authority, _, _ := strings.Cut(t.repository, "/")
	for i := range len(t.repository) {
		c := t.repository[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == '/':
		case 'A' <= c && c <= 'Z', c == ':':
		default:
			return false
		}
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if hasPort && strings.Trim(port, "0123456789") != "" {
		return false
	}
	t.host, t.port, t.path = host, port, t.repository[len(authority):]
	return true
}

func (t *Target) label(i int) string {
	if i < inlineLabels {
		return t.inline[i]
	}
	return t.more[i-inlineLabels]
}

// Repository returns what the target was made from.
func (t *Target) Repository() string { return t.repository }

// Registry is the host of the repository with its port, which is the key of the
// kubelet's registry cache: the text before the first slash (parseRegistry in
// pkg/credentialprovider/plugin/plugin.go).
func (t *Target) Registry() string {
	registry, _, _ := strings.Cut(t.repository, "/")
	return registry
}

package imagecred

import (
	"net/url"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// PatternFault is something about a valid pattern that surprises people.
type PatternFault struct {
	// Code is the finding's code.
	Code string
	// Never says that no image can match.
	Never bool
	// Message is a line.
	Message string
	// Instead is the pattern to write, "" where there is none that is surely right.
	Instead string
}

// The codes of pattern faults.
const (
	codePathGlob   = "KC220"
	codeScheme     = "KC221"
	codePartition  = "KC222"
	codeNever      = "KC223"
	codeLabels     = "KC224"
	codePort       = "KC225"
	codePathPrefix = "KC226"
	codeIgnored    = "KC229"
	codeCase       = "KC230"
	codeDockerHub  = "KC234"
)

// schemePattern is how a scheme looks that was pasted with an address.
var schemePattern = lazyexp.New(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// Faults returns what is surprising about a pattern that [Compile] accepts, the
// worst first. It is empty for a pattern that does what it looks like.
func Faults(pattern string) []PatternFault {
	p, err := Compile(pattern)
	if err != nil {
		return nil
	}
	j := judge{text: pattern, p: &p}
	j.scheme()
	j.ignored()
	j.host()
	j.port()
	j.path()
	instead := j.mended()
	for i := range j.faults {
		if j.faults[i].Instead == "" && instead != pattern {
			j.faults[i].Instead = instead
		}
	}
	slices.SortStableFunc(j.faults, func(a, b PatternFault) int {
		switch {
		case a.Never == b.Never:
			return 0
		case a.Never:
			return -1
		}
		return 1
	})
	return j.faults
}

// neverMatches says why a compiled pattern matches no image, "" if it may.
func neverMatches(p *Pattern) string {
	j := judge{text: p.text, p: p}
	j.scheme()
	j.host()
	j.path()
	for _, f := range j.faults {
		if f.Never {
			return f.Message
		}
	}
	return ""
}

// judge looks at one pattern from several sides. host, port and path are what
// the pattern would have without the faults met so far.
type judge struct {
	text   string
	p      *Pattern
	faults []PatternFault
	// The mended pattern, part by part.
	newHost, newPort, newPath string
	schemeless                *Pattern // the pattern without its scheme
	renamed                   bool     // the path was made from a name of Docker Hub
}

func (j *judge) add(f PatternFault) { j.faults = append(j.faults, f) }

// scheme finds a scheme, and goes on with what follows it.
func (j *judge) scheme() {
	j.schemeless = j.p
	if m := schemePattern().FindString(j.text); m != "" {
		name, _, _ := strings.Cut(m, ":")
		j.add(PatternFault{Code: codeScheme, Never: true,
			Message: "the scheme is part of the pattern: the kubelet puts https:// in front, so the host it looks for is " + quote(name)})
		rest, err := parseRest(j.text[len(m):])
		if err == nil {
			j.schemeless = rest
		}
	}
	j.newHost, j.newPort, j.newPath = strings.Join(j.schemeless.hostLabels(), "."), j.schemeless.port, j.schemeless.path
}

// parseRest reads a pattern without looking at its faults.
func parseRest(text string) (*Pattern, error) {
	u, err := parseSchemeless(text)
	if err != nil {
		return nil, err
	}
	host, port := splitHost(u.Host)
	p := Pattern{text: text, port: port, path: u.Path}
	for part := range strings.SplitSeq(host, ".") {
		p.labels = append(p.labels, compileLabel(part))
	}
	return &p, nil
}

func (p *Pattern) hostLabels() []string {
	out := make([]string, len(p.labels))
	for i := range p.labels {
		out[i] = p.labels[i].text
	}
	return out
}

// ignored finds parts of a URL that matching does not look at.
func (j *judge) ignored() {
	u, err := parseSchemeless(j.schemeless.text)
	if err != nil {
		return
	}
	var parts []string
	if u.User != nil {
		parts = append(parts, "what is before the @")
	}
	if u.RawQuery != "" || u.ForceQuery {
		parts = append(parts, "what is after the ?")
	}
	if _, _, hash := strings.Cut(j.schemeless.text, "#"); hash {
		parts = append(parts, "what is after the #")
	}
	if strings.Contains(j.schemeless.text, "%") {
		j.add(PatternFault{Code: codeIgnored, Message: "the kubelet reads the pattern as a URL and compares what its % escapes stand for"})
	}
	if len(parts) > 0 {
		j.add(PatternFault{Code: codeIgnored, Message: "the kubelet reads the pattern as a URL and ignores " + strings.Join(parts, " and ")})
	}
}

// path judges the pattern's path, which is a plain prefix.
func (j *judge) path() {
	p := j.newPath
	if p == "" || p == "/" {
		if p == "/" {
			j.newPath = ""
		}
		return
	}
	last := p[strings.LastIndex(p, "/")+1:]
	switch at := strings.IndexAny(p, "*"); {
	case at >= 0:
		j.newPath = strings.TrimSuffix(p[:at], "/")
		if strings.HasSuffix(p[:at], "/") && p[:at] != "/" {
			j.newPath = p[:at]
		}
		j.add(PatternFault{Code: codePathGlob, Never: true,
			Message: "a glob in the path " + quote(p) + ": the path is a plain prefix, so only images whose path begins with an asterisk would match, and there are none"})
	case strings.Contains(p, "//"):
		for strings.Contains(j.newPath, "//") {
			j.newPath = strings.ReplaceAll(j.newPath, "//", "/")
		}
		j.add(PatternFault{Code: codeNever, Never: true, Message: "an empty segment in the path " + quote(p) + ", which no image has"})
	case strings.Contains(last, "@"):
		j.newPath = p[:strings.LastIndex(p, "@")]
		j.add(PatternFault{Code: codeNever, Never: true, Message: "a digest in the pattern: images are compared without tag and digest"})
	case strings.Contains(last, ":"):
		j.newPath = p[:strings.LastIndex(p, ":")]
		j.add(PatternFault{Code: codeNever, Never: true, Message: "a tag in the pattern: images are compared without tag and digest"})
	case strings.ToLower(p) != p:
		j.newPath = strings.ToLower(p)
		j.add(PatternFault{Code: codeNever, Never: true, Message: "upper case in the path " + quote(p) + ": the path of an image is always lower case"})
	case strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789._-/") != "" || badPathStart().MatchString(p):
		j.add(PatternFault{Code: codeNever, Never: true, Message: "the path " + quote(p) + " holds what no image's path can hold"})
	case j.renamed:
	case strings.HasPrefix(p, "/v1/") || strings.HasPrefix(p, "/v2/"):
		j.newPath = p[len("/v1"):]
		if j.newPath == "/" {
			j.newPath = ""
		}
		j.add(PatternFault{Code: codePathPrefix, Message: "the path " + quote(p) + " is of the registry's API, not of images: only images whose path begins with it match"})
	case !strings.HasSuffix(p, "/"):
		j.newPath = p + "/"
		j.add(PatternFault{Code: codePathPrefix,
			Message: "the path is a plain prefix, so this also matches " + quote(j.newHost+portSuffix(j.newPort)+p+"-other/image")})
	}
}

// badPathStart finds characters where no image's path can have them.
var badPathStart = lazyexp.New(`/[._-]|[._-]/|\.\.|___|\._|_\.|-[._]|[._]-`)

// port judges the pattern's port.
func (j *judge) port() {
	u, err := parseSchemeless(j.schemeless.text)
	if err != nil {
		return
	}
	switch {
	case strings.HasSuffix(u.Host, ":") && j.schemeless == j.p:
		j.add(PatternFault{Code: codePort, Message: "a colon without a port, which matches only images without a port"})
	case j.newPort == "443" || j.newPort == "80":
		without := j.newHost + portSuffix(j.newPort)
		j.newPort = ""
		j.add(PatternFault{Code: codePort, Message: "port and no port are never equal: this matches only images that are written " + quote(without+"/...")})
	case strings.HasPrefix(j.newPort, "0"):
		j.add(PatternFault{Code: codePort, Message: "ports are compared as text: this matches only images that write port " + j.newPort + " with the same zeros"})
	}
}

func portSuffix(port string) string {
	if port == "" {
		return ""
	}
	return ":" + port
}

// mended is the pattern as it should be written.
func (j *judge) mended() string {
	host := j.newHost
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	out := host + portSuffix(j.newPort) + (&url.URL{Path: j.newPath}).EscapedPath()
	if p, err := parseRest(out); err != nil || len(p.labels) == 0 || p.labels[0].text == "" {
		return j.text // nothing surely right to offer
	}
	return out
}

package explain

import (
	"slices"
	"sort"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// scan is a text prepared for patterns: escaped quotes made plain, typographic
// ones straight, and the whole once more in lower case to look for literals.
type scan struct {
	t      *Text
	plain  []string // line by line
	lower  string   // the plain lines, joined by line ends, in lower case
	starts []int    // where each line begins in lower
	flat   *flat
	clean  map[int]string // lines as they may be shown, by index
}

// flat is the text as one line, for messages that a terminal or a person broke.
type flat struct {
	text, lower string
	lines       []int // the line of the text at each start
	starts      []int
}

// maxFlat bounds the text that is looked at as one line, maxLoose that for
// patterns without a literal that would spare most of them.
const (
	maxFlat  = 256 << 10
	maxLoose = 16 << 10
)

// link is a link as a page's editor makes it of anything with a dot and a slash.
var link = lazyexp.New(`\[([\w./:-]+)\]\(https?://[^()\s]*\)`)

var straighten = strings.NewReplacer(
	`\\\"`, `"`, `\\"`, `"`, `\"`, `"`, `\'`, `'`, "\u201c", `"`, "\u201d", `"`, "\u201e", `"`, "\u2018", "'", "\u2019", "'",
	"\u2026", "...", `\u0026`, "&", `\u003d`, "=", `\u003c`, "<", `\u003e`, ">", "&quot;", `"`, "&#39;", "'", "&#34;", `"`,
	"`", "'",
	// as people write it from memory
	"logged into the server", "logged in to the server", "logged in the server", "logged in to the server", "server(unauthorized)", "server (Unauthorized)",
)

func newScan(t *Text) *scan {
	s := &scan{t: t, clean: map[int]string{}}
	var lower strings.Builder
	size := 0
	for _, l := range t.Lines {
		p := straighten.Replace(l)
		if strings.Contains(p, "](http") {
			p = link().ReplaceAllString(p, "$1")
		}
		s.plain = append(s.plain, p)
		s.starts = append(s.starts, lower.Len())
		lower.WriteString(lowerASCII(p))
		lower.WriteByte('\n')
		size += len(p)
	}
	s.lower = lower.String()
	if len(t.Lines) > 1 && size <= maxFlat && !t.Sampled {
		s.flatten()
	}
	return s
}

// lowerASCII keeps the length, so that offsets stay right.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func (s *scan) flatten() {
	f := &flat{}
	var b strings.Builder
	for i, l := range s.plain {
		l = strings.Join(strings.Fields(l), " ")
		l = strings.TrimLeft(l, "│|> ") // Terraform's and mail's margins
		if l == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		f.starts = append(f.starts, b.Len())
		f.lines = append(f.lines, i)
		b.WriteString(l)
	}
	f.text = b.String()
	f.lower = lowerASCII(f.text)
	s.flat = f
}

// match finds a pattern in the inputs, in a line or across lines.
func (e *evidence) match(p *pattern) (Sign, bool) {
	for _, s := range e.texts {
		if sign, ok := s.match(p); ok {
			return sign, true
		}
	}
	for _, s := range e.texts {
		if sign, ok := s.matchFlat(p); ok {
			return sign, true
		}
	}
	return Sign{}, false
}

func (s *scan) match(p *pattern) (Sign, bool) {
	if len(p.literals) == 0 {
		for i := range s.plain {
			if sign, ok := s.matchLine(p, i); ok {
				return sign, true
			}
		}
		return Sign{}, false
	}
	for _, literal := range p.literals {
		for at := 0; at < len(s.lower); {
			n := strings.Index(s.lower[at:], literal)
			if n < 0 {
				break
			}
			i := sort.SearchInts(s.starts, at+n+1) - 1
			if sign, ok := s.matchLine(p, i); ok {
				return sign, true
			}
			if i+1 >= len(s.starts) {
				break
			}
			at = s.starts[i+1]
		}
	}
	return Sign{}, false
}

// foreign are the marks of lines in which something else failed than the showing
// of a credential, in words that are the same: an admission webhook's
// certificate, a container's own program.
var foreign = lazyexp.New(`(?i)calling (?:admission )?webhook|failed to call webhook|OCI runtime|containerd task|(?:readiness|liveness|startup) probe|oauth2[_-]?proxy|OAuth2 callback`)

// matchLine finds the pattern in a line, with quotes made plain or as it is.
func (s *scan) matchLine(p *pattern, i int) (Sign, bool) {
	if p.message && foreign().MatchString(s.plain[i]) {
		return Sign{}, false
	}
	if m := p.re().FindStringIndex(s.plain[i]); m != nil {
		return s.sign(i, m), true
	}
	raw := s.t.Lines[i]
	if len(raw) == len(s.plain[i]) {
		return Sign{}, false
	}
	m := p.re().FindStringIndex(raw)
	if m == nil {
		return Sign{}, false
	}
	return Sign{Where: s.t.where(i, m[0]), What: shorten(Redacted(raw[m[0]:m[1]]), 200)}, true
}

func (s *scan) matchFlat(p *pattern) (Sign, bool) {
	f := s.flat
	if f == nil || shortest(p.literals) < 8 && len(f.text) > maxLoose {
		return Sign{}, false
	}
	if len(p.literals) > 0 && !slices.ContainsFunc(p.literals, func(l string) bool { return strings.Contains(f.lower, l) }) {
		return Sign{}, false
	}
	m := p.re().FindStringIndex(f.text)
	if m == nil {
		return Sign{}, false
	}
	i := sort.SearchInts(f.starts, m[0]+1) - 1
	if p.message && foreign().MatchString(f.text[max(f.starts[i], m[0]-200):m[1]]) {
		return Sign{}, false
	}
	line := f.lines[i]
	return Sign{Where: s.t.where(line, 0), What: shorten(Redacted(f.text[m[0]:m[1]]), 200)}, true
}

func (s *scan) sign(i int, m []int) Sign {
	// The offset is that of the plain line; where quotes were unescaped before
	// it, find the same text in the line as it is.
	off := m[0]
	if s.plain[i] != s.t.Lines[i] {
		if n := strings.Index(s.t.Lines[i], firstWord(s.plain[i][m[0]:m[1]])); n >= 0 {
			off = n
		}
	}
	return Sign{Where: s.t.where(i, off), What: shorten(Redacted(s.plain[i][m[0]:m[1]]), 200)}
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \"'"); i > 0 {
		return s[:i]
	}
	return s
}

// read takes one input apart.
func (e *evidence) read(t *Text) {
	s := newScan(t)
	e.texts = append(e.texts, s)
	e.structures(s)
	e.lines(s)
}

package explain

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// Bounds of what is parsed: enough for any configuration file, and for the
// first events of a log.
const (
	maxDocument  = 1 << 20
	maxParsed    = 1 << 20
	maxDepth     = 60
	maxDocuments = 400
)

// document is a YAML or JSON value found in a text. Its lines are those of the
// text shifted by line and column.
type document struct {
	s      *scan
	root   *yaml.Node
	line   int    // index of the text's line on which the document begins
	column int    // bytes cut from the front of each line
	source string // what was parsed
	json   bool
	whole  bool // the input is this document and nothing else
	cut    bool // what did not parse was left out
}

// structures finds every YAML and JSON document in the text and looks at each.
func (e *evidence) structures(s *scan) {
	if s.t.Sampled {
		e.jsonValues(s)
		return
	}
	all := strings.Join(s.t.Lines, "\n")
	budget := maxParsed
	if len(all) <= maxDocument {
		if docs, ok := wholeYAML(s, all); ok {
			for _, d := range docs {
				e.document(d)
			}
			return
		}
	}
	n, faulty := 0, false
	for _, b := range blocks(s.t.Lines) {
		if n++; n > maxDocuments || budget < 0 {
			break
		}
		budget -= b.size
		d, ok := b.parse(s)
		if ok {
			d.whole = !d.cut && get(d.root, "kind") != nil && get(d.root, "apiVersion") != nil
			e.document(d)
		}
		if len(b.lines) > 3 && (!ok || d.cut) {
			faulty = true
		}
	}
	if faulty && len(all) <= maxDocument && plainYAML(s.t.Lines) {
		e.broken(s, all, 0)
	}
	e.jsonValues(s)
}

// noteKeys are words that people put before what they add to a file.
var noteKeys = []string{"error", "image", "kubelet", "kubectl", "arn", "profile", "log", "version", "versions", "file", "env", "what", "client", "expectedIssuer", "issuer", "note", "caller"}

var noteLine = lazyexp.New(`^(?:` + strings.Join(noteKeys, "|") + `): \S`)

// withoutNotes blanks what was added to a file at its end, such as
// "image: example.com/app:1", so that the file is judged as it is.
func withoutNotes(source string, root *yaml.Node) string {
	if root.Kind != yaml.MappingNode || get(root, "kind") == nil {
		return source
	}
	lines := strings.Split(source, "\n")
	cut := false
	for i := len(root.Content) - 2; i >= 0; i -= 2 {
		k := root.Content[i]
		if !slices.Contains(noteKeys, k.Value) || k.Line > len(lines) {
			break
		}
		for n := k.Line - 1; n < len(lines); n++ {
			lines[n] = ""
		}
		cut = true
	}
	if !cut {
		return source
	}
	return strings.Join(lines, "\n")
}

// plainYAML tells whether nearly every line looks like YAML, so that the text
// is a file with a fault in it and not a log with YAML in it.
func plainYAML(lines []string) bool {
	good, n := 0, 0
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			n++
			if yamlLine().MatchString(l) || strings.HasPrefix(l, "-") {
				good++
			}
		}
	}
	return n >= 4 && good*10 >= n*8
}

// wholeYAML parses the text as a stream of documents if it is one.
func wholeYAML(s *scan, all string) ([]*document, bool) {
	dec := yaml.NewDecoder(strings.NewReader(all))
	var docs []*document
	useful := false
	for len(docs) < maxDocuments {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			if err.Error() == "EOF" {
				return docs, useful
			}
			return nil, false
		}
		root := &n
		if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
			root = n.Content[0]
		}
		if root.Kind == yaml.MappingNode && !looksLikeProse(root) || root.Kind == yaml.SequenceNode {
			useful = true
		}
		d := &document{s: s, root: root, source: withoutNotes(all, root), whole: true}
		if len(docs) > 0 { // the check of a road reads the first document only
			docs[0].whole, d.whole, d.source = false, false, ""
		}
		docs = append(docs, d)
	}
	return docs, useful
}

// looksLikeProse tells a mapping that is only a sentence with a colon:
// "error: You must be logged in".
func looksLikeProse(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.Contains(n.Content[i].Value, " ") || n.Content[i+1].Kind == yaml.ScalarNode &&
			n.Content[i+1].Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && strings.Count(n.Content[i+1].Value, " ") > 3 {
			continue
		}
		return false
	}
	return true
}

// block is a run of lines that may be YAML.
type block struct {
	first, last int // indices, inclusive
	indent      int
	lines       []string
	size        int
}

var (
	yamlLine = lazyexp.New(`^(?:- )*(?:"[^"]{1,120}"|'[^']{1,120}'|[A-Za-z_$][\w./$-]{0,120})\s*:(?:\s|$)|^-(?:\s|$)|^#|^---|^\.\.\.$|^[\]}]`)
	// front is what people and tools put before a line: a quotation mark, a
	// line number, a time, a log prefix, a diff's sign.
	front = sync.OnceValue(func() []*regexp.Regexp {
		return []*regexp.Regexp{
			regexp.MustCompile(`^\s*(?:>\s?)+`),
			regexp.MustCompile(`^\s*[│┃|]\s?`),
			regexp.MustCompile(`^\s*\d{1,5}\s*(?:[│|:]\s?|\t|  )`),
			regexp.MustCompile(`^\s*\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?:? `),
			regexp.MustCompile(`^[+-](?:[ ]|[A-Za-z])`),
		}
	})
)

// blocks splits the lines into runs that look like YAML, with what stands
// before each line taken off and the common indentation measured.
func blocks(lines []string) []block {
	var out []block
	var cur *block
	flush := func() {
		if cur == nil {
			return
		}
		for len(cur.lines) > 0 && strings.TrimSpace(cur.lines[len(cur.lines)-1]) == "" {
			cur.lines = cur.lines[:len(cur.lines)-1]
			cur.last--
		}
		if len(cur.lines) > 0 {
			cur.indent = commonIndent(cur.lines)
			for _, l := range cur.lines {
				cur.size += len(l) + 1
			}
			out = append(out, *cur)
		}
		cur = nil
	}
	stripped := unfront(lines)
	scalar := -1 // indentation of the key whose block scalar we are in
	for i, l := range stripped {
		trimmed := strings.TrimLeft(l, " \t")
		indent := len(l) - len(trimmed)
		if strings.Trim(trimmed, ".\u2026 ") == "" || strings.Trim(trimmed, "-. ") == "snip" || trimmed == "<snip>" {
			trimmed = "" // something was left out here
		}
		switch {
		case trimmed == "":
			if cur != nil {
				cur.lines = append(cur.lines, "")
				cur.last = i
			}
			continue
		case indent == 0 && noteLine().MatchString(l):
			flush()
			scalar = -1
			continue
		case cur != nil && scalar >= 0 && indent > scalar:
		case cur != nil && strings.Trim(trimmed, "]}, ") == "" && indent < len(cur.lines[0])-len(strings.TrimLeft(cur.lines[0], " \t")):
			// It ends a JSON value that began before the block; what follows, such
			// as the output of the next command, is another.
			flush()
			scalar = -1
			continue
		case yamlLine().MatchString(trimmed):
			scalar = -1
			if strings.HasSuffix(strings.TrimRight(trimmed, " +-0123456789"), "|") || strings.HasSuffix(strings.TrimRight(trimmed, " +-"), ">") {
				scalar = indent
			}
		default:
			flush()
			scalar = -1
			continue
		}
		if cur == nil {
			cur = &block{first: i}
		}
		cur.lines = append(cur.lines, l)
		cur.last = i
	}
	flush()
	return out
}

// unfront takes off what stands before most of the lines.
func unfront(lines []string) []string {
	out := lines
	for _, re := range front() {
		hit, n := 0, 0
		for _, l := range out {
			if strings.TrimSpace(l) == "" {
				continue
			}
			n++
			if re.MatchString(l) {
				hit++
			}
		}
		if n < 2 || hit*10 < n*7 {
			continue
		}
		next := make([]string, len(out))
		for i, l := range out {
			m := re.FindStringIndex(l)
			if m == nil {
				next[i] = l
				continue
			}
			cut := m[1]
			if strings.HasPrefix(re.String(), `^[+-]`) {
				next[i] = " " + l[1:]
				continue
			}
			next[i] = l[cut:]
		}
		out = next
	}
	return out
}

func commonIndent(lines []string) int {
	least := -1
	for _, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		n := len(l) - len(strings.TrimLeft(l, " "))
		if least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}

// parse parses the block, and where it is cut at either end the longest part
// of it that is whole.
func (b *block) parse(s *scan) (*document, bool) {
	lines := make([]string, len(b.lines))
	for i, l := range b.lines {
		if len(l) >= b.indent {
			l = l[b.indent:]
		}
		lines[i] = strings.ReplaceAll(l, "\t", "  ")
	}
	for from, tries := 0, 0; from < len(lines) && tries < 6; tries++ {
		part := lines[from:]
		indent := commonIndent(part)
		cut := make([]string, len(part))
		for i, l := range part {
			cut[i] = l[min(indent, len(l)):]
		}
		n, ok, bad := parsePart(cut)
		if ok && useful(n) {
			return &document{s: s, root: n, line: b.first + from, column: b.indent + indent, source: strings.Join(cut, "\n"), cut: from > 0}, true
		}
		if bad > 1 && bad <= len(cut) {
			if n, ok, _ := parsePart(cut[:bad-1]); ok && useful(n) {
				return &document{s: s, root: n, line: b.first + from, column: b.indent + indent, source: strings.Join(cut[:bad-1], "\n"), cut: true}, true
			}
		}
		// Cut at the front: begin at the next line that is indented less.
		next := -1
		first := len(lines[from]) - len(strings.TrimLeft(lines[from], " "))
		for i := from + 1; i < len(lines); i++ {
			if t := strings.TrimLeft(lines[i], " "); t != "" && len(lines[i])-len(t) < first {
				next = i
				break
			}
		}
		if next < 0 {
			return nil, false
		}
		from = next
	}
	return nil, false
}

var yamlErrorLine = lazyexp.New(`line (\d+)`)

func parsePart(lines []string) (root *yaml.Node, ok bool, bad int) {
	var n yaml.Node
	src := strings.Join(lines, "\n")
	if err := yaml.Unmarshal([]byte(src), &n); err != nil {
		if m := yamlErrorLine().FindStringSubmatch(err.Error()); m != nil {
			bad = atoi(m[1])
		}
		return nil, false, bad
	}
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		return n.Content[0], true, 0
	}
	return nil, false, 0
}

func useful(n *yaml.Node) bool {
	return n != nil && (n.Kind == yaml.MappingNode && !looksLikeProse(n) || n.Kind == yaml.SequenceNode)
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<24 {
			return n
		}
		n = n*10 + int(c-'0')
	}
	return n
}

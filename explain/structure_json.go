package explain

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonValues finds JSON objects inside lines and across them, whole or cut.
func (e *evidence) jsonValues(s *scan) {
	budget, found := maxParsed, 0
	for i := 0; i < len(s.t.Lines); i++ {
		l := s.t.Lines[i]
		for at := 0; at < len(l) && budget > 0 && found < maxDocuments; {
			n := strings.IndexByte(l[at:], '{')
			if n < 0 {
				break
			}
			at += n
			rest := strings.TrimLeft(l[at+1:], " ")
			if rest != "" && rest[0] != '"' && rest[0] != '\\' && rest[0] != '}' {
				at++
				continue
			}
			src, lines := jsonFrom(s.t.Lines, i, at)
			if len(src) < 8 {
				at++
				continue
			}
			budget -= len(src)
			d, ok := parseJSON(s, src, i, at)
			if !ok {
				at++
				continue
			}
			found++
			e.document(d)
			if lines > 0 {
				i += lines
				break
			}
			at += len(src)
		}
	}
}

// jsonFrom returns the JSON value that begins at a place, closed where it was
// cut, and how many lines it goes on.
func jsonFrom(lines []string, i, at int) (src string, more int) {
	var b strings.Builder
	var open brackets
	for n := i; n < len(lines) && b.Len() < maxDocument && n-i < 4000; n++ {
		l := lines[n]
		if n == i {
			l = l[at:]
		} else {
			b.WriteByte('\n')
			if open.inString {
				break // a string does not go over a line's end: cut here
			}
		}
		for k := 0; k < len(l); k++ {
			b.WriteByte(l[k])
			switch closed, ok := open.next(l[k]); {
			case !ok || len(open.stack) > maxDepth:
				return "", 0
			case closed && len(open.stack) == 0:
				return b.String(), n - i
			}
		}
		if n == i && !strings.ContainsAny(l, `":`) && strings.TrimSpace(l) != "{" {
			return "", 0
		}
	}
	cut := strings.TrimRight(b.String(), " \n\t")
	if open.inString {
		cut, open.inString = strings.TrimSuffix(cut, `\`)+`"`, false
	}
	cut = strings.TrimRight(cut, " ,")
	if strings.HasSuffix(cut, ":") {
		cut += "null"
	}
	return cut + open.close(), len(lines) - i - 1
}

// brackets are those that are open at a place in JSON.
type brackets struct {
	stack             []byte // what closes each, the innermost last
	inString, escaped bool
}

// next goes on by one byte. closed tells that it closed a bracket, and ok is false
// where it closed one that was not open.
func (b *brackets) next(c byte) (closed, ok bool) {
	switch {
	case b.escaped:
		b.escaped = false
	case c == '\\':
		b.escaped = true
	case c == '"':
		b.inString = !b.inString
	case b.inString:
	case c == '{' || c == '[':
		b.stack = append(b.stack, c+2) // in ASCII } is { + 2, and ] is [ + 2
	case c == '}' || c == ']':
		if len(b.stack) == 0 || b.stack[len(b.stack)-1] != c {
			return false, false
		}
		b.stack = b.stack[:len(b.stack)-1]
		return true, true
	}
	return false, true
}

// close returns what closes all that is open.
func (b *brackets) close() string {
	var out []byte
	if b.inString {
		out = append(out, '"')
	}
	for _, c := range slices.Backward(b.stack) {
		out = append(out, c)
	}
	return string(out)
}

func parseJSON(s *scan, src string, line, col int) (*document, bool) {
	if !json.Valid([]byte(src)) {
		// A string that was cut between key and value, or a log line whose
		// quotes are escaped.
		fixed := strings.ReplaceAll(src, `\"`, `"`)
		if !json.Valid([]byte(fixed)) {
			if n := strings.LastIndexByte(src, ','); n > 0 {
				fixed = closed(src[:n])
			}
			if !json.Valid([]byte(fixed)) {
				return nil, false
			}
		}
		src = fixed
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(src, "\t", " ")), &n); err != nil || n.Kind != yaml.DocumentNode || len(n.Content) == 0 {
		return nil, false
	}
	if n.Content[0].Kind != yaml.MappingNode {
		return nil, false
	}
	return &document{s: s, root: n.Content[0], line: line, column: col, source: src, json: true}, true
}

// closed closes the brackets and strings that are open in a cut value.
func closed(src string) string {
	var open brackets
	for _, c := range []byte(src) {
		open.next(c)
	}
	return src + open.close()
}

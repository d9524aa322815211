package kubeconfig

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// nodeEnd is where a value ends, whatever its kind and style; ok is false where
// that can't be told with certainty. What is edited by it is read again before it
// is written.
func (f *File) nodeEnd(n *yaml.Node) (end int, ok bool) {
	at := f.at(n)
	if at < 0 {
		return 0, false
	}
	switch n.Kind {
	case yaml.AliasNode:
		end = at + 1 + len(n.Value)
		return end, end <= len(f.Data) && string(f.Data[at+1:end]) == n.Value
	case yaml.ScalarNode:
		return f.scalarEnd(n)
	}
	if n.Style&yaml.FlowStyle == 0 {
		if len(n.Content) == 0 {
			return 0, false
		}
		return f.nodeEnd(n.Content[len(n.Content)-1])
	}
	i := f.skipProperties(at) + 1
	if len(n.Content) > 0 {
		if i, ok = f.nodeEnd(n.Content[len(n.Content)-1]); !ok {
			return 0, false
		}
	}
	for i < len(f.Data) {
		switch c := f.Data[i]; {
		case isSpace(c) || c == ',':
			i++
		case c == '#':
			line, _ := f.lineColumn(i)
			_, _, i = f.lineSpan(line)
		case c == ']' && n.Kind == yaml.SequenceNode, c == '}' && n.Kind == yaml.MappingNode:
			return i + 1, true
		default:
			return 0, false
		}
	}
	return 0, false
}

func (f *File) scalarEnd(n *yaml.Node) (int, bool) {
	if s, ok := f.scalarSpan(n); ok {
		return s.end, true
	}
	i := f.skipProperties(f.at(n))
	switch n.Style &^ yaml.TaggedStyle {
	case 0:
		return f.plainEnd(i, n.Value)
	case yaml.LiteralStyle, yaml.FoldedStyle:
		return f.blockTextEnd(i)
	}
	return 0, false
}

// plainEnd follows a plain text over several lines, in which a line break counts
// as a blank.
func (f *File) plainEnd(i int, value string) (int, bool) {
	for value != "" {
		r, size := utf8.DecodeRuneInString(value)
		if r == ' ' || r == '\n' {
			value = strings.TrimLeft(value, " \n")
			before := i
			for i < len(f.Data) && isSpace(f.Data[i]) {
				i++
			}
			if i == before {
				return 0, false
			}
			continue
		}
		got, n := utf8.DecodeRune(f.Data[min(i, len(f.Data)):])
		if got != r {
			return 0, false
		}
		value, i = value[size:], i+n
	}
	return i, true
}

// blockTextEnd is the end of the last line of a text after | or >.
func (f *File) blockTextEnd(i int) (int, bool) {
	line, _ := f.lineColumn(i)
	_, end, _ := f.lineSpan(line)
	indent := -1
	for l := line + 1; l <= len(f.lines); l++ {
		text, _ := f.line(l)
		trimmed := strings.TrimLeftFunc(text, func(r rune) bool { return r == ' ' })
		if strings.TrimFunc(trimmed, unicode.IsSpace) == "" {
			continue
		}
		n := len(text) - len(trimmed)
		if indent < 0 {
			indent = n
		}
		if n < indent || n == 0 {
			break
		}
		_, end, _ = f.lineSpan(l)
	}
	return end, indent > 0
}

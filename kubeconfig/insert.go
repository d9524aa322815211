package kubeconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// insertBeside returns the splices that put `key: text` right after a pair of a
// mapping, in the style in which that pair is written.
func (f *File) insertBeside(p pair, key, text string) ([]splice, error) {
	return f.insertText(p, key, f.styled(p, text))
}

// insertText is insertBeside for a value that is written already.
func (f *File) insertText(p pair, key, written string) ([]splice, error) {
	if p.owner.Style&yaml.FlowStyle != 0 {
		return f.insertFlow(p, key, written)
	}
	return f.insertBlock(p, key, written)
}

// valueEnd is where a pair's value ends.
func (f *File) valueEnd(p pair) (int, error) {
	if end, ok := f.nodeEnd(p.value); ok {
		return end, nil
	}
	return 0, refuse(p.value, "a value whose end can't be told, beside which kubecred inserts nothing")
}

// insertBlock adds a line below the pair's last line, at the key's own column.
func (f *File) insertBlock(p pair, key, value string) ([]splice, error) {
	end, err := f.valueEnd(p)
	if err != nil {
		return nil, err
	}
	keyAt := f.at(p.key)
	keyLine, _ := f.lineColumn(keyAt)
	start, _, _ := f.lineSpan(keyLine)
	if keyLine == 1 && strings.HasPrefix(string(f.Data), bom) {
		start += len(bom)
	}
	indent, err := f.indent(p.key, start, keyAt)
	if err != nil {
		return nil, err
	}
	line, _ := f.lineColumn(end)
	_, textEnd, lineEnd := f.lineSpan(line)
	if rest := strings.TrimLeft(string(f.Data[end:textEnd]), " \t"); rest != "" && rest[0] != '#' {
		return nil, refuse(p.value, "something stands behind the value that is no comment")
	}
	written := indent + f.keyText(p.key, key) + ": " + value
	if textEnd == lineEnd { // the last line, without a line break
		return []splice{{span{lineEnd, lineEnd}, f.newline(line) + written}}, nil
	}
	return []splice{{span{lineEnd, lineEnd}, written + f.lineBreak(line)}}, nil
}

// indent is the white space that puts a new line at the key's column.
func (f *File) indent(key *yaml.Node, lineStart, keyAt int) (string, error) {
	before := string(f.Data[lineStart:keyAt])
	var b strings.Builder
	for i, r := range before {
		switch {
		case r == ' ':
			b.WriteByte(' ')
		case r == '-' && i+1 < len(before) && before[i+1] == ' ':
			b.WriteByte(' ') // an entry of a list begins on this line
		default:
			return "", refuse(key, "the key does not stand at the beginning of its line")
		}
	}
	return b.String(), nil
}

// insertFlow adds a pair inside { }, on a line of its own where the neighbours
// have lines of their own.
func (f *File) insertFlow(p pair, key, value string) ([]splice, error) {
	end, err := f.valueEnd(p)
	if err != nil {
		return nil, err
	}
	keyAt := f.at(p.key)
	pairText := f.keyText(p.key, key) + f.colon(p) + value
	here := span{end, end}

	keyLine, _ := f.lineColumn(keyAt)
	start, _, _ := f.lineSpan(keyLine)
	before := string(f.Data[start:keyAt])
	line, _ := f.lineColumn(end)
	_, textEnd, _ := f.lineSpan(line)
	rest := string(f.Data[end:textEnd])
	comma := strings.HasPrefix(strings.TrimLeft(rest, " \t"), ",")
	tail := strings.TrimLeft(rest, " \t")
	if comma {
		tail = strings.TrimLeft(tail[1:], " \t")
	}
	ownLines := strings.Trim(before, " \t") == "" && (tail == "" || tail[0] == '#') && f.lineBreak(line) != ""
	switch {
	case !ownLines:
		return []splice{{here, "," + f.gap(p) + pairText}}, nil
	case comma: // below the whole line, so that a comment stays with its value
		return []splice{{span{textEnd, textEnd}, f.newline(line) + before + pairText + ","}}, nil
	case tail == "":
		return []splice{{here, "," + f.newline(line) + before + pairText}}, nil
	default: // the last pair, with a comment behind it
		return []splice{{here, ","}, {span{textEnd, textEnd}, f.newline(line) + before + pairText}}, nil
	}
}

// keyText writes a key in the quotes that its neighbour has.
func (f *File) keyText(neighbour *yaml.Node, key string) string {
	switch neighbour.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle:
		return quote(key)
	case yaml.SingleQuotedStyle:
		return "'" + key + "'"
	}
	return key
}

// styled writes a value in quotes where the neighbour's key has them (JSON), or
// where every text of the mapping has.
func (f *File) styled(p pair, text string) string {
	style := p.key.Style &^ yaml.TaggedStyle
	if style == 0 {
		style = commonStyle(p.owner)
	}
	switch style {
	case yaml.DoubleQuotedStyle:
		return quote(text)
	case yaml.SingleQuotedStyle:
		return "'" + text + "'"
	}
	return text
}

// commonStyle is the style that all texts of a mapping share, where there are two
// or more, and plain otherwise.
func commonStyle(m *yaml.Node) yaml.Style {
	var style yaml.Style
	n := 0
	for i := 1; i < len(m.Content); i += 2 {
		v := m.Content[i]
		if v.Kind != yaml.ScalarNode || v.Tag != "!!str" {
			continue
		}
		s := v.Style &^ yaml.TaggedStyle
		if n > 0 && s != style {
			return 0
		}
		style, n = s, n+1
	}
	if n < 2 || style != yaml.DoubleQuotedStyle && style != yaml.SingleQuotedStyle {
		return 0
	}
	return style
}

// colon is what stands between a pair's key and value.
func (f *File) colon(p pair) string {
	if k, ok := f.scalarSpan(p.key); ok {
		if v := f.at(p.value); v > k.end {
			s := string(f.Data[k.end:v])
			if strings.Trim(s, ": \t") == "" && strings.Count(s, ":") == 1 {
				return s
			}
		}
	}
	return ": "
}

// gap is the white space that follows a comma in this mapping.
func (f *File) gap(p pair) string {
	i := f.at(p.key)
	j := i
	for j > 0 && (f.Data[j-1] == ' ' || f.Data[j-1] == '\t') {
		j--
	}
	if j > 0 && f.Data[j-1] == ',' {
		return string(f.Data[j:i])
	}
	if end, err := f.valueEnd(p); err == nil {
		rest := f.Data[end:]
		if len(rest) > 1 && rest[0] == ',' {
			k := 1
			for k < len(rest) && (rest[k] == ' ' || rest[k] == '\t') {
				k++
			}
			if k < len(rest) && rest[k] != '\n' && rest[k] != '\r' {
				return string(rest[1:k])
			}
		}
	}
	if f.colon(p) == ":" {
		return ""
	}
	return " "
}

package kubeconfig

import (
	"sort"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// lineStarts returns the offset of each line. Lines end where YAML ends them: at
// LF, CR LF, CR, NEL, LS and PS (YAML 1.1, 4.2).
func lineStarts(data []byte) []int {
	starts := []int{0}
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '\n':
			starts = append(starts, i+1)
		case '\r':
			if i+1 < len(data) && data[i+1] == '\n' {
				i++
			}
			starts = append(starts, i+1)
		case 0xc2:
			if i+1 < len(data) && data[i+1] == 0x85 {
				i++
				starts = append(starts, i+1)
			}
		case 0xe2:
			if i+2 < len(data) && data[i+1] == 0x80 && (data[i+2] == 0xa8 || data[i+2] == 0xa9) {
				i += 2
				starts = append(starts, i+1)
			}
		}
	}
	return starts
}

const bom = "\ufeff"

// offset is the byte at which a line and column, both from 1, stand; -1 where
// the text has no such place. Columns count characters.
func (f *File) offset(line, column int) int {
	if line < 1 || line > len(f.lines) || column < 1 {
		return -1
	}
	i := f.lines[line-1]
	if line == 1 && len(f.Data) >= len(bom) && string(f.Data[:len(bom)]) == bom {
		i += len(bom) // the YAML reader does not count it
	}
	for ; column > 1; column-- {
		if i >= len(f.Data) {
			return -1
		}
		_, size := utf8.DecodeRune(f.Data[i:])
		i += size
	}
	return i
}

// at is the offset of a node.
func (f *File) at(n *yaml.Node) int { return f.offset(n.Line, n.Column) }

// lineColumn is the inverse of offset.
func (f *File) lineColumn(at int) (line, column int) {
	line = sort.SearchInts(f.lines, at+1)
	start := f.lines[line-1]
	if line == 1 && len(f.Data) >= len(bom) && string(f.Data[:len(bom)]) == bom && at >= len(bom) {
		start += len(bom)
	}
	return line, utf8.RuneCount(f.Data[start:at]) + 1
}

// lineSpan is the range of a line, and where its text ends before the line break.
func (f *File) lineSpan(line int) (start, textEnd, end int) {
	start, end = f.lines[line-1], len(f.Data)
	if line < len(f.lines) {
		end = f.lines[line]
	}
	textEnd = end
	if line < len(f.lines) {
		textEnd -= len(f.lineBreak(line))
	}
	return start, textEnd, end
}

// lineBreak is how a line ends: "\n", "\r\n" and so on, "" for the last one.
func (f *File) lineBreak(line int) string {
	if line >= len(f.lines) {
		return ""
	}
	end := f.lines[line]
	switch start := f.lines[line-1]; {
	case end-start >= 2 && f.Data[end-2] == '\r' && f.Data[end-1] == '\n':
		return "\r\n"
	case f.Data[end-1] == '\n' || f.Data[end-1] == '\r':
		return string(f.Data[end-1 : end])
	case end-start >= 2 && f.Data[end-1] == 0x85:
		return string(f.Data[end-2 : end])
	}
	return string(f.Data[end-3 : end])
}

// newline is the line break to use beside a line.
func (f *File) newline(line int) string {
	if s := f.lineBreak(line); s != "" {
		return s
	}
	if line > 1 {
		return f.lineBreak(line - 1)
	}
	return "\n"
}

// line is the text of a line without its break.
func (f *File) line(n int) (string, bool) {
	if n < 1 || n > len(f.lines) {
		return "", false
	}
	start, textEnd, _ := f.lineSpan(n)
	return string(f.Data[start:textEnd]), true
}

// span is a range of bytes.
type span struct{ start, end int }

// scalarSpan is where a scalar is written, quotes included and without its
// anchor and tag; ok is false where it can't be told with certainty (a text
// over several lines).
func (f *File) scalarSpan(n *yaml.Node) (s span, ok bool) {
	i := f.at(n)
	if i < 0 || n.Kind != yaml.ScalarNode {
		return span{}, false
	}
	i = f.skipProperties(i)
	rest := f.Data[i:]
	switch n.Style &^ yaml.TaggedStyle {
	case 0:
		if len(rest) >= len(n.Value) && string(rest[:len(n.Value)]) == n.Value {
			return span{i, i + len(n.Value)}, true
		}
	case yaml.DoubleQuotedStyle:
		for j := 1; j < len(rest); j++ {
			switch rest[j] {
			case '\\':
				j++
			case '"':
				return span{i, i + j + 1}, rest[0] == '"'
			}
		}
	case yaml.SingleQuotedStyle:
		for j := 1; j < len(rest); j++ {
			if rest[j] != '\'' {
				continue
			}
			if j+1 < len(rest) && rest[j+1] == '\'' {
				j++
				continue
			}
			return span{i, i + j + 1}, rest[0] == '\''
		}
	}
	return span{}, false
}

// skipProperties steps over anchors and tags, which stand before a value.
func (f *File) skipProperties(i int) int {
	for i < len(f.Data) && (f.Data[i] == '&' || f.Data[i] == '!') {
		for i < len(f.Data) && !isSpace(f.Data[i]) {
			i++
		}
		for i < len(f.Data) && isSpace(f.Data[i]) {
			i++
		}
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

package iammap

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// place turns a line and column of a text into those of the source. For the
// source itself that is nothing; for YAML inside of a YAML string it looks up
// where the string's character stands.
type place func(line, column int) Pos

// inside returns the place function for the text of a string node: the
// positions of the text's own lines and columns in the source.
func inside(lines []string, node *yaml.Node, outer place) place {
	switch {
	case node.Style&yaml.LiteralStyle != 0:
		indent := blockIndent(lines, node.Line)
		return func(line, column int) Pos { return outer(node.Line+line, column+indent) }
	case node.Style&yaml.DoubleQuotedStyle != 0:
		var starts [][]Pos
		return func(line, column int) Pos {
			if starts == nil {
				starts = unquote(lines, node.Line, node.Column)
			}
			if line < 1 || line > len(starts) || len(starts[line-1]) == 0 {
				return outer(node.Line, node.Column)
			}
			at := starts[line-1]
			p := at[min(max(column, 1), len(at))-1]
			return outer(p.Line, p.Column)
		}
	case !strings.Contains(node.Value, "\n"):
		quote := 0
		if node.Style&yaml.SingleQuotedStyle != 0 {
			quote = 1
		}
		return func(_, column int) Pos { return outer(node.Line, node.Column+quote+column-1) }
	}
	// A folded or quoted text of several lines: the lines do not map one to
	// one, so it is only said where the text begins.
	return func(int, int) Pos { return outer(node.Line, node.Column) }
}

// blockIndent is how far the text of a block scalar is indented, given the
// line (from 1) of its | sign. An explicit indentation indicator counts from
// the parent's indentation, which the first line's own shows as well unless
// that line begins with spaces of its own.
func blockIndent(lines []string, header int) int {
	for _, l := range lines[min(header, len(lines)):] {
		if strings.TrimSpace(l) != "" {
			return len(l) - len(strings.TrimLeft(l, " "))
		}
	}
	return 0
}

// unquote walks a double-quoted scalar that begins at line and column and
// returns, for each line of its value, where each character stands, and one
// place more for the line's end.
func unquote(lines []string, line, column int) [][]Pos {
	var out [][]Pos
	var row []Pos
	l := line - 1
	if l < 0 || l >= len(lines) {
		return nil
	}
	rest := skipRunes(lines[l], column) // past the opening quote
	col := column + 1
	next := func() bool { // to the next source line, past its indentation
		l++
		if l >= len(lines) {
			return false
		}
		rest = strings.TrimLeft(lines[l], " \t")
		col = 1 + utf8.RuneCountInString(lines[l]) - utf8.RuneCountInString(rest)
		return true
	}
	for {
		if rest == "" { // a line break in the text folds to a blank
			row = append(row, Pos{l + 1, col})
			if !next() {
				return append(out, row)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		at := Pos{l + 1, col}
		if r == '"' {
			return append(out, append(row, at))
		}
		if r != '\\' {
			row = append(row, at)
			rest, col = rest[size:], col+1
			continue
		}
		value, used := escape(rest)
		if used == 1 { // a backslash at the line's end joins the lines
			if !next() {
				return append(out, row)
			}
			continue
		}
		if value == '\n' {
			out = append(out, append(row, at))
			row = nil
		} else {
			row = append(row, at)
		}
		rest, col = rest[used:], col+used
	}
}

// escape reads an escape sequence of a double-quoted scalar and returns the
// character it stands for and its length.
func escape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if digits > 0 && len(s) >= 2+digits {
		n, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err == nil {
			return rune(n), 2 + digits
		}
	}
	if s[1] == 'n' {
		return '\n', 2
	}
	_, size := utf8.DecodeRuneInString(s[1:])
	return rune(s[1]), 1 + size
}

func skipRunes(s string, n int) string {
	for ; n > 0 && s != ""; n-- {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

// splitLines splits a text at its line ends, of any kind.
func splitLines(s string) []string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// yamlError is a parse error with its line taken out of the text.
type yamlError struct {
	line int // 0 where the parser names none
	text string
}

// parseYAMLError reads "yaml: line 3: did not find ..." of the YAML library.
func parseYAMLError(err error) yamlError {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			return yamlError{n, message}
		}
	}
	return yamlError{0, text}
}

// pair is one key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping's keys in the order of the text. Aliases are followed,
// once: a source is data for a fixed schema, so nothing deeper is needed.
func pairs(node *yaml.Node) []pair {
	node = follow(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	out := make([]pair, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		out = append(out, pair{node.Content[i], follow(node.Content[i+1])})
	}
	return out
}

func follow(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// get returns the value of a key, the last one where it stands twice.
func get(node *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range pairs(node) {
		if p.key.Value == key {
			found = p.value
		}
	}
	return found
}

// getFold is get without regard to case, as viper and encoding/json read keys.
func getFold(node *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	for _, p := range pairs(node) {
		if strings.EqualFold(p.key.Value, key) {
			found = p.value
		}
	}
	return found
}

func isNull(node *yaml.Node) bool {
	return node == nil || node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

func isText(node *yaml.Node) bool {
	return node != nil && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str"
}

// describe names what a node is, for a message.
func describe(node *yaml.Node) string {
	switch {
	case isNull(node):
		return "nothing"
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	}
	return "text"
}

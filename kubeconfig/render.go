package kubeconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// item is something to be written: a text (string), a list ([]any) or a mapping
// (fieldList), in order.
type fieldList []field

type field struct {
	key   string
	value any
}

// plainValue is the item as decoded values, for comparison.
func plainValue(v any) any {
	switch v := v.(type) {
	case fieldList:
		m := map[string]any{}
		for _, f := range v {
			m[f.key] = plainValue(f.value)
		}
		return m
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plainValue(e)
		}
		return out
	}
	return v
}

// scalarText writes a text as YAML, in quotes where a client would read it as
// something else.
func scalarText(s string, inFlow bool) string {
	if plainSafe(s, inFlow) {
		return s
	}
	return quote(s)
}

// plainSafe tells texts that need no quotes: those that read back as they are,
// alone and beside others.
func plainSafe(s string, inFlow bool) bool {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\r\t\"'") || strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") {
		return false
	}
	if strings.ContainsRune("#&*!|>%@`{}[],", rune(s[0])) || (s[0] == '-' || s[0] == '?' || s[0] == ':') && (len(s) == 1 || s[1] == ' ') {
		return false
	}
	if inFlow && strings.ContainsAny(s, ",[]{}") {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r <= 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return false
		}
	}
	if strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") || s == "<<" {
		return false
	}
	return scalarType(&yaml.Node{Kind: yaml.ScalarNode, Value: s}) == typeString && !isTimestamp(s)
}

// block writes an item in block style; the first line has no indent of its own.
func block(v any, indent, newline string) string {
	var b strings.Builder
	writeBlock(&b, v, indent, newline)
	return b.String()
}

func writeBlock(b *strings.Builder, v any, indent, newline string) {
	switch v := v.(type) {
	case string:
		b.WriteString(scalarText(v, false))
	case fieldList:
		for i, f := range v {
			if i > 0 {
				b.WriteString(newline + indent)
			}
			b.WriteString(f.key + ":")
			switch child := f.value.(type) {
			case string:
				b.WriteString(" " + scalarText(child, false))
			case fieldList:
				b.WriteString(newline + indent + "  ")
				writeBlock(b, child, indent+"  ", newline)
			case []any:
				if len(child) == 0 {
					b.WriteString(" []")
					continue
				}
				b.WriteString(newline + indent) // lists stand at their key's column, as kubectl writes them
				writeBlock(b, child, indent, newline)
			}
		}
	case []any:
		for i, e := range v {
			if i > 0 {
				b.WriteString(newline + indent)
			}
			b.WriteString("- ")
			writeBlock(b, e, indent+"  ", newline)
		}
	}
}

// flow writes an item as JSON, which is YAML in brackets too. unit "" keeps it on
// one line.
func flow(v any, indent, unit, newline string) string {
	var b strings.Builder
	writeFlow(&b, v, indent, unit, newline)
	return b.String()
}

func writeFlow(b *strings.Builder, v any, indent, unit, newline string) {
	open, shut, n := "", "", 0
	each := func(int) {}
	switch v := v.(type) {
	case string:
		b.WriteString(quote(v))
		return
	case fieldList:
		open, shut, n = "{", "}", len(v)
		each = func(i int) {
			b.WriteString(quote(v[i].key) + ": ")
			writeFlow(b, v[i].value, indent+unit, unit, newline)
		}
	case []any:
		open, shut, n = "[", "]", len(v)
		each = func(i int) { writeFlow(b, v[i], indent+unit, unit, newline) }
	}
	b.WriteString(open)
	for i := range n {
		switch {
		case unit != "":
			b.WriteString(newline + indent + unit)
		case i > 0:
			b.WriteString(" ")
		}
		each(i)
		if i < n-1 {
			b.WriteString(",")
		}
	}
	if unit != "" && n > 0 {
		b.WriteString(newline + indent)
	}
	b.WriteString(shut)
}

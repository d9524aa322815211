package kubeconfig

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splice puts text in place of the bytes of a span.
type splice struct {
	span
	text string
}

// RefusedError says why an edit can't be made without touching more than it should.
type RefusedError struct {
	Place
	Reason string
}

func (e *RefusedError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

func refuse(n *yaml.Node, format string, args ...any) error {
	return &RefusedError{place(n), fmt.Sprintf(format, args...)}
}

// apply returns the text with the splices made. They must not overlap; those
// that insert at the same place keep their order.
func apply(data []byte, splices []splice) ([]byte, error) {
	splices = slices.Clone(splices)
	slices.SortStableFunc(splices, func(a, b splice) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, s := range splices {
		if s.start < at || s.end < s.start || s.end > len(data) {
			return nil, errors.New("two changes meet in one place")
		}
		out = append(out, data[at:s.start]...)
		out = append(out, s.text...)
		at = s.end
	}
	return append(out, data[at:]...), nil
}

// setText is the splice that gives a scalar another text, in the quotes that it
// has.
func (f *File) setText(n *yaml.Node, text string) (splice, error) {
	if n.Kind == yaml.AliasNode {
		// The alias is replaced, so that whoever else uses the anchor keeps it.
		i := f.at(n)
		end := i + 1
		for end < len(f.Data) && !isSpace(f.Data[end]) && !strings.ContainsRune(",]}", rune(f.Data[end])) {
			end++
		}
		if i < 0 || f.Data[i] != '*' || end-i-1 != len(n.Value) {
			return splice{}, refuse(n, "an alias that can't be told from what follows it")
		}
		return splice{span{i, end}, scalarText(text, true)}, nil
	}
	s, ok := f.scalarSpan(n)
	if !ok {
		return splice{}, refuse(n, "a text over several lines, which kubecred does not edit")
	}
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle:
		text = quote(text)
	case yaml.SingleQuotedStyle:
		text = "'" + strings.ReplaceAll(text, "'", "''") + "'"
	default:
		if text != "true" && text != "false" {
			text = scalarText(text, true)
		}
		if s.start == s.end && s.start > 0 && f.Data[s.start-1] == ':' {
			text = " " + text
		}
	}
	return splice{s, text}, nil
}

// quote writes a text in double quotes, as YAML and JSON both read it.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// sections are the keys of a kubeconfig that a client reads.
var sections = []string{"apiVersion", "kind", "clusters", "users", "contexts", "current-context", "preferences", "extensions"}

// verify reads the edited text again and compares it with what was intended.
// want gets the old values and changes them.
func (f *File) verify(edited []byte, want func(root map[string]any) error) error {
	g, err := Parse(f.Name, edited)
	if err != nil {
		return fmt.Errorf("the change would break the file (%w)", err)
	}
	root := value(f.root).(map[string]any)
	if err := want(root); err != nil {
		return err
	}
	after := value(g.root).(map[string]any)
	for _, s := range sections {
		if !reflect.DeepEqual(root[s], after[s]) {
			return fmt.Errorf("the change would alter more of %s than is meant, because an anchor shares it with other entries", s)
		}
	}
	if f.Documents != g.Documents {
		return errors.New("the change would alter the documents after the first")
	}
	return nil
}

package explain

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzJudge pastes anything: it must answer or refuse, with places that lie in
// the input and text that is valid UTF-8.
func FuzzJudge(f *testing.F) {
	for _, r := range readReports(f) {
		f.Add(r.Input.Text)
	}
	for _, inputs := range pastes {
		f.Add(strings.Join(inputs, "\n"))
	}
	f.Add("{{{{{{[[[[[[")
	f.Add("- - - - - - -\n\t: x\n'")
	f.Add("a: &a [*a, *a]\nusers: *a\ncontexts: {<<: *a}")
	f.Add("\x1b[31m<pre>\r\n\u201capiVersion\u201d: \u2026</pre></div>")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := NewText("input", s)
		if err != nil {
			if !errors.Is(err, ErrBinary) && !errors.Is(err, ErrCompressed) {
				t.Fatal(err)
			}
			return
		}
		a := Judge([]*Text{text}, Options{Now: now})
		for _, c := range a.Causes {
			for _, sign := range append([]Sign{{Where: c.Finding.Where}}, c.Signs...) {
				w := sign.Where
				if w.Line < 0 || w.Line > len(text.Lines) {
					t.Fatalf("%s: line %d of %d", c.Rule, w.Line, len(text.Lines))
				}
				if !utf8.ValidString(w.Text) || !utf8.ValidString(sign.What) {
					t.Fatalf("%s: not UTF-8", c.Rule)
				}
			}
			if strings.TrimSpace(c.Finding.Message) == "" || c.Finding.Fix.Summary == "" {
				t.Fatalf("%s says nothing", c.Rule)
			}
		}
		NewRedactor().Redact(strings.Join(text.Lines, "\n"))
	})
}

// FuzzRead reads any bytes; reading what was read changes nothing more.
func FuzzRead(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte{0xff, 0xfe, 'a', 0, '\r', 0, '\n', 0})
	f.Add([]byte{0xfe, 0xff, 0, 'a', 0xd8, 0x3d, 0xde, 0x00})
	f.Add([]byte("<html><body><p>x</p></body></html>"))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := Read("input", strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, l := range text.Lines {
			if !utf8.ValidString(l) || strings.ContainsAny(l, "\n\r\x1b") {
				t.Fatalf("%q is not clean", l)
			}
		}
	})
}

package auditlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// splitUp feeds a text in pieces that end at the places given.
func splitUp(text string, cuts ...int) (out []string, s *splitter) {
	s = newSplitter(func(p part) { out = append(out, fmt.Sprintf("%s|%s|%v", p.list, p.text, p.emptied)) })
	from := 0
	slices.Sort(cuts)
	for _, to := range append(cuts, len(text)) {
		s.feed([]byte(text[from:to]))
		from = to
	}
	return out, s
}

func TestSplitter(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{`{"a":1} {"b":[2]}`, []string{`|{"a":1}|false`, `|{"b":[2]}|false`}},
		{`[{"a":1},"x\"y",[3]]`, []string{`|{"a":1}|false`, `|"x\"y"|false`, `|[3]|false`}},
		{`{"kind":"EventList","items":[{"a":{"items":[1]}}],"x":[{"no":1}]}`, []string{`items|{"a":{"items":[1]}}|false`, `|{"kind":"EventList","items":[],"x":[{"no":1}]}|true`}},
		{`{"requestObject":{"items":[{"a":1}]},"b":"c"}`, []string{`|{"requestObject":null,"b":"c"}|false`}},
		{`{"_source":{"responseObject":[1],"b":"}"}}`, []string{`|{"_source":{"responseObject":null,"b":"}"}}|false`}},
		{`{"data":{"result":[{"stream":{"values":["no"]},"values":[["1","x"],["2","y"]]}]},"n":1}`, []string{
			`values|["1","x"]|false`, `values|["2","y"]|false`, `result|{"stream":{"values":["no"]},"values":[]}|true`, `|{"data":{"result":[]},"n":1}|true`}},
		{`{"hits":{"total":1,"hits":[{"_source":{"hits":[1]}}]}}`, []string{`hits|{"_source":{"hits":[1]}}|false`, `|{"hits":{"total":1,"hits":[]}}|true`}},
		{`{"data":{"columns":["a"],"rows":[["x"],[]]}}`, []string{`rows|{"data":{"columns":["a"],"rows":[["x"]]}}|false`, `rows|{"data":{"columns":["a"],"rows":[[]]}}|false`, `|{"data":{"columns":["a"],"rows":[]}}|true`}},
		{`[["1","x"],"rows"]`, []string{`|["1","x"]|false`, `|"rows"|false`}},
	}
	for _, tt := range tests {
		got, s := splitUp(tt.in)
		if !s.whole() || s.long > 0 || !slices.Equal(got, tt.want) {
			t.Errorf("%s\ngot  %q\nwant %q", tt.in, got, tt.want)
		}
	}
	for in, bad := range map[string]bool{`{"a":]`: true, `{"a":[}`: true, `x`: true, `]`: true, `{"a"`: false, `["a`: false, `{"rows":[[`: false} {
		if _, s := splitUp(in); s.whole() || s.bad != bad {
			t.Errorf("%s: whole %v, bad %v", in, s.whole(), s.bad)
		}
	}
}

// TestSplitterBounds: what is too long is counted, what stands beside it is not
// lost, and an envelope does not count as an event that is too long.
func TestSplitterBounds(t *testing.T) {
	long := strings.Repeat("x", maxEvent)
	got, s := splitUp(`{"head":"` + long + `","values":["a","` + long + `",{"b":"` + long + `"},{"c":1}]}`)
	if want := []string{`values|"a"|false`, `values|{"c":1}|false`}; s.long != 2 || !slices.Equal(got, want) {
		t.Errorf("%d long, %.200q", s.long, got)
	}
	// A row of a table whose head is too long is handed on alone.
	got, s = splitUp(`{"columns":["` + long[:maxHead] + `"],"rows":[["a"]]}`)
	if want := []string{`rows|["a"]|false`}; s.long != 0 || !slices.Equal(got, want) {
		t.Errorf("%d long, %.200q", s.long, got)
	}
	// Nothing that is nested holds more than its bound.
	_, s = splitUp(strings.Repeat(`{"a":"`+long[:maxHead]+`","items":[`, 200))
	if cap(s.buf) > maxEvent*2 {
		t.Errorf("%d bytes are held", cap(s.buf))
	}
}

// TestSplitterPieces: where the pieces end makes no difference.
func TestSplitterPieces(t *testing.T) {
	value := rapid.OneOf(rapid.SampledFrom([]string{`"x\\\"{["`, `1`, `null`, `{"a":"]"}`, `["1","y"]`, `{"requestObject":{"items":[]}}`}))
	key := rapid.SampledFrom([]string{"items", "data", "hits", "rows", "values", "result", "x", "requestObject"})
	var draw func(t *rapid.T, depth int) string
	draw = func(t *rapid.T, depth int) string {
		if depth == 0 {
			return value.Draw(t, "value")
		}
		var out []string
		object := rapid.Bool().Draw(t, "object")
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			v := draw(t, depth-1)
			if object {
				v = `"` + key.Draw(t, "key") + `": ` + v
			}
			out = append(out, v)
		}
		if object {
			return "{" + strings.Join(out, ",\n") + "}"
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	rapid.Check(t, func(t *rapid.T) {
		text := draw(t, 4)
		want, _ := splitUp(text)
		got, s := splitUp(text, rapid.SliceOf(rapid.IntRange(0, len(text))).Draw(t, "cuts")...)
		if !s.whole() || !slices.Equal(got, want) {
			t.Fatalf("%s\ngot  %q\nwant %q", text, got, want)
		}
	})
}

package finding

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCodesAreWhole(t *testing.T) {
	shape := regexp.MustCompile(`^KC([1-4])\d\d$`)
	hundred := map[string]Road{"1": Client, "2": Node, "3": Pod, "4": Server}
	for _, c := range Codes() {
		m := shape.FindStringSubmatch(c.Code)
		if m == nil {
			t.Errorf("%q is not of the form KC1xx to KC4xx", c.Code)
			continue
		}
		if want := hundred[m[1]]; c.Road != want {
			t.Errorf("%s is on the road %s, its number says %s", c.Code, c.Road, want)
		}
		if c.Severity.Rank() == 0 {
			t.Errorf("%s has the severity %q", c.Code, c.Severity)
		}
		for name, text := range map[string]string{"title": c.Title, "explanation": c.Explanation, "mending": c.Mending} {
			if strings.TrimSpace(text) == "" || text != strings.TrimSpace(text) {
				t.Errorf("%s: its %s is empty or has space around it", c.Code, name)
			}
		}
		if len(c.Sources) == 0 {
			t.Errorf("%s names no source", c.Code)
		}
	}
}

// TestMessagesFindTheirCode holds every message's text against its own pattern,
// and against the patterns of all others: a text may be known under several
// codes only where each of them lists it.
func TestMessagesFindTheirCode(t *testing.T) {
	listed := map[string][]string{}
	for _, c := range Codes() {
		for _, m := range c.Messages {
			listed[m.Text] = append(listed[m.Text], c.Code)
			if m.From == "" {
				t.Errorf("%s: message %q does not say where it is from", c.Code, m.Text)
			}
			re, err := regexp.Compile(m.Pattern)
			if err != nil {
				t.Errorf("%s: %v", c.Code, err)
				continue
			}
			if !re.MatchString("E1122 10:00:00 x.go:1] before: " + m.Text + " and after") {
				t.Errorf("%s: pattern %q does not find its own text %q inside a log line", c.Code, m.Pattern, m.Text)
			}
			for _, word := range []string{"", "error", "Unauthorized", "kubectl", "aws", "401", "token", "null"} {
				if re.MatchString(word) {
					t.Errorf("%s: pattern %q matches the bare word %q", c.Code, m.Pattern, word)
				}
			}
		}
	}
	for text, want := range listed {
		found := Match(text)
		for _, code := range want {
			if !slices.ContainsFunc(found, func(c Code) bool { return c.Code == code }) {
				t.Errorf("Match(%q) lacks %s", text, code)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	if c, ok := Lookup("kc101"); !ok || c.Code != "KC101" {
		t.Errorf("Lookup(kc101) = %v, %v", c.Code, ok)
	}
	if _, ok := Lookup("KC999"); ok {
		t.Error("Lookup(KC999) found something")
	}
}

// What is read of one code is what is read of all.
func TestLookupFindsWhatCodesHas(t *testing.T) {
	codes := Codes()
	for _, want := range codes {
		if got, ok := Lookup(want.Code); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("Lookup(%s) = %+v, %v, want %+v", want.Code, got, ok, want)
		}
	}
	if got := len(entries()); got != len(codes) {
		t.Errorf("Lookup knows %d codes, want %d", got, len(codes))
	}
}

func TestMatchFindsNothingInUnrelatedText(t *testing.T) {
	for _, text := range []string{"", "hello", `dial tcp 127.0.0.1:8080: connect: connection refused`,
		`"Failed to update lock" err="Operation cannot be fulfilled on leases"`} {
		if codes := Match(text); len(codes) > 0 {
			t.Errorf("Match(%q) = %s", text, codes[0].Code)
		}
	}
}

func TestReadCodesRefusesBadData(t *testing.T) {
	tests := []struct{ data, want string }{
		{`[{"code":"KC101"},{"code":"KC101"}]`, "finding: code KC101 is defined twice"},
		{`[{"code":"KC101","colour":"red"}]`, `finding: codes/x.json: json: unknown field "colour"`},
		{`[`, "finding: codes/x.json: unexpected EOF"},
	}
	for _, tt := range tests {
		_, err := readCodes(fstest.MapFS{"codes/x.json": {Data: []byte(tt.data)}})
		if err == nil || err.Error() != tt.want {
			t.Errorf("readCodes(%s): %v, want %s", tt.data, err, tt.want)
		}
	}
}

func TestNewPanicsForUnknownCode(t *testing.T) {
	defer func() {
		if got := recover(); got != "finding: unknown code KC999" {
			t.Errorf("recovered %v", got)
		}
	}()
	New("KC999", "x", "y")
}

package explain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kubecred/kubecred/finding"
)

// report is one real public report, reduced to a minimal input with the same
// fault, and what its thread settled on.
type report struct {
	ID      string       `json:"id"`
	Road    finding.Road `json:"road"`
	Thread  string       `json:"thread"`
	Symptom string       `json:"symptom"`
	Input   struct {
		Kind string            `json:"kind"`
		Text string            `json:"text"`
		With map[string]string `json:"with"`
	} `json:"input"`
	Versions   string   `json:"versions"`
	Cause      string   `json:"cause"`
	Fix        string   `json:"fix"`
	MustSay    []string `json:"mustSay"`
	Confidence string   `json:"confidence"`
}

func readReports(t testing.TB) []report {
	t.Helper()
	names, err := filepath.Glob("testdata/reports/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no reports: %v", err)
	}
	var out []report
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r report
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.ID+".json" != filepath.Base(name) {
			t.Errorf("%s: its id is %s", name, r.ID)
		}
		out = append(out, r)
	}
	return out
}

// inputs returns the input and what the person had beside it, in the ways in
// which a person gives them.
func (r report) inputs() map[string][]string {
	var keys []string
	for k := range r.Input.With {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	words, lines := []string{r.Input.Text}, []string{r.Input.Text}
	for _, k := range keys {
		words = append(words, r.Input.With[k])
		lines = append(lines, k+": "+r.Input.With[k])
	}
	return map[string][]string{
		"one by one":       words,
		"with their names": lines,
		"in one paste":     {strings.Join(words, "\n")},
	}
}

// judged are the answers to reports, which many tests look at.
var judged sync.Map

// answer judges the report's inputs one by one.
func (r report) answer(t testing.TB) Answer {
	t.Helper()
	if a, ok := judged.Load(r.ID); ok {
		return a.(Answer)
	}
	a := judge(t, r.inputs()["one by one"]...)
	judged.Store(r.ID, a)
	return a
}

// said is what a program reads of a finding: message, mending and evidence.
func said(t testing.TB, f finding.Finding) string {
	t.Helper()
	out, err := json.Marshal([]any{f.Message, f.Fix, f.Evidence})
	if err != nil {
		t.Fatal(err)
	}
	var plain []any
	if err := json.Unmarshal(out, &plain); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(strings.ToLower(v))
			b.WriteByte('\n')
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for k, x := range v {
				b.WriteString(strings.ToLower(k) + "\n")
				walk(x)
			}
		}
	}
	walk(plain)
	return b.String()
}

func TestReports(t *testing.T) {
	for _, r := range readReports(t) {
		for how, inputs := range r.inputs() {
			t.Run(r.ID+"/"+how, func(t *testing.T) {
				a := r.answer(t)
				if how != "one by one" {
					a = judge(t, inputs...)
				}
				if len(a.Causes) == 0 {
					t.Fatalf("no cause; %s", r.Cause)
				}
				first := a.Causes[0]
				if first.Finding.Road != r.Road {
					t.Errorf("road %s (%s: %s), want %s", first.Finding.Road, first.Rule, first.Finding.Message, r.Road)
				}
				text := said(t, first.Finding)
				for _, word := range r.MustSay {
					if !strings.Contains(text, strings.ToLower(word)) {
						t.Errorf("the first cause (%s: %s) does not say %q", first.Rule, first.Finding.Message, word)
					}
				}
			})
		}
	}
}

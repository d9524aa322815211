package explain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/finding"
)

var now = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func judge(t testing.TB, inputs ...string) Answer {
	t.Helper()
	var texts []*Text
	for i, in := range inputs {
		text, err := NewText(fmt.Sprintf("input%d", i+1), in)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return Judge(texts, Options{Now: now})
}

// TestMessagesExplainThemselves pastes every error text that a code lists, as
// it stands, escaped as in a log, and broken by a terminal, and wants the code
// among the causes, or a rule that says more than the code does.
func TestMessagesExplainThemselves(t *testing.T) {
	over := map[string][]string{}
	for _, r := range rules() {
		over[r.ID] = r.Over
	}
	for _, c := range finding.Codes() {
		for _, m := range c.Messages {
			for name, paste := range map[string]string{
				"plain":   m.Text,
				"escaped": `time="2026-01-01T00:00:00Z" level=error msg="` + strings.ReplaceAll(m.Text, `"`, `\"`) + `"`,
				"broken":  strings.Replace(m.Text, " ", "\n    ", 2),
			} {
				found := slices.ContainsFunc(judge(t, paste).Causes, func(cause Cause) bool {
					return cause.Finding.Code == c.Code || slices.Contains(over[cause.Rule], c.Code)
				})
				if !found {
					t.Errorf("%s, %s: %q does not lead to the code", c.Code, name, paste)
				}
			}
		}
	}
}

// TestRulesNameWhatExists holds what rules name against what there is.
func TestRulesNameWhatExists(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range rules() {
		ids[r.ID] = true
	}
	for _, r := range rules() {
		for _, o := range r.Over {
			if _, ok := finding.Lookup(o); !ok && !ids[o] {
				t.Errorf("rule %s stands over %q, which is neither a rule nor a code", r.ID, o)
			}
			if o == r.ID {
				t.Errorf("rule %s stands over itself", r.ID)
			}
		}
		if c, _ := finding.Lookup(r.Code); c.Mending == "" && r.Fix == "" {
			t.Errorf("rule %s has no mending", r.ID)
		}
	}
}

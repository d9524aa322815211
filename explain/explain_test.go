package explain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/explain"
	"github.com/kubecred/kubecred/finding"
)

var now = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func judge(t *testing.T, inputs ...string) explain.Answer {
	t.Helper()
	var texts []*explain.Text
	for _, in := range inputs {
		text, err := explain.NewText("input", in)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return explain.Judge(texts, explain.Options{Now: now})
}

// TestMessagesExplainThemselves pastes every error text that a code lists, as
// it stands, escaped as in a log, and broken by a terminal, and wants the code
// among the causes.
func TestMessagesExplainThemselves(t *testing.T) {
	for _, c := range finding.Codes() {
		for _, m := range c.Messages {
			for name, paste := range map[string]string{
				"plain":   m.Text,
				"escaped": `time="2026-01-01T00:00:00Z" level=error msg="` + strings.ReplaceAll(m.Text, `"`, `\"`) + `"`,
				"broken":  strings.Replace(m.Text, " ", "\n    ", 2),
			} {
				a := judge(t, paste)
				found := false
				for _, cause := range a.Causes {
					found = found || cause.Finding.Code == c.Code
				}
				if !found {
					t.Errorf("%s, %s: %q does not lead to the code", c.Code, name, paste)
				}
			}
		}
	}
}

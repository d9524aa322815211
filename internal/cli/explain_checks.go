package cli

import (
	"bytes"
	"context"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// judgeAudit judges audit events as 'tokens scan' does.
func judgeAudit(events []byte, profile string, at time.Time) []finding.Finding {
	if profile == "" {
		profile = "eks"
	}
	a := &app{World{Stdin: bytes.NewReader(events), Now: func() time.Time { return at }}}
	s, err := a.scanTokens(context.Background(), []string{"-"}, tokenOptions{profile: profile})
	if err != nil {
		return nil // lines that hold no event after all
	}
	var out []finding.Finding
	for _, f := range s.findings() {
		if f.Code != "KC306" && f.Code != "KC307" { // about the log as a file
			out = append(out, f)
		}
	}
	return out
}

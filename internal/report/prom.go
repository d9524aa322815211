package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// prom is Prometheus' text format, for node_exporter's textfile collector or a
// push gateway. docs/prometheus-rules.yaml has alerts for it.
type prom struct{ w io.Writer }

func (p prom) Handle(r finding.Report) error {
	var b bytes.Buffer
	head := func(name, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	}
	head("kubecred_report_timestamp_seconds", "When the findings were judged.")
	fmt.Fprintf(&b, "kubecred_report_timestamp_seconds %d\n", r.At.Unix())
	head("kubecred_findings", "Findings by road and severity.")
	for _, road := range finding.Roads() {
		for _, severity := range []finding.Severity{finding.Error, finding.Warning, finding.Info} {
			n := 0
			for _, f := range r.Findings {
				if f.Road == road && f.Severity == severity {
					n++
				}
			}
			fmt.Fprintf(&b, "kubecred_findings{road=\"%s\",severity=\"%s\"} %d\n", road, severity, n)
		}
	}
	head("kubecred_report_incomplete", "How many parts of the input could not be read.")
	fmt.Fprintf(&b, "kubecred_report_incomplete %d\n", len(unread(r)))
	head("kubecred_finding_due_timestamp_seconds", "When something breaks, or broke.")
	seen := map[string]bool{}
	for _, f := range r.Findings {
		if f.Due.IsZero() {
			continue
		}
		labels := fmt.Sprintf("code=\"%s\",road=\"%s\",severity=\"%s\",subject=\"%s\"", f.Code, f.Road, f.Severity, escapeProm(f.Subject))
		if seen[labels] {
			continue // a series may stand only once; the worst is first
		}
		seen[labels] = true
		fmt.Fprintf(&b, "kubecred_finding_due_timestamp_seconds{%s} %d\n", labels, f.Due.Unix())
	}
	_, err := p.w.Write(b.Bytes())
	return err
}

func escapeProm(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(clean(s))
}

// unread are the findings that say that a part of the input could not be read,
// so that the report lacks what it would have shown.
func unread(r finding.Report) []finding.Finding {
	var out []finding.Finding
	for _, f := range r.Findings {
		switch f.Code {
		case "KC120", "KC209", "KC306", "KC340":
			if f.Severity == finding.Error {
				out = append(out, f)
			}
		}
	}
	return out
}

// Silent are those findings where the format has no place for them: what reads
// it sees dates or rows, and would take a half for the whole.
func Silent(format string, r finding.Report) []finding.Finding {
	if format == "ics" || format == "prom" {
		return unread(r)
	}
	return nil
}

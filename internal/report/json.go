package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kubecred/kubecred/finding"
)

type jsonFormat struct{ w io.Writer }

func (j jsonFormat) Handle(r finding.Report) error {
	enc := json.NewEncoder(j.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// maxReport bounds a saved report: 64 MiB holds some 100,000 findings.
const maxReport = 64 << 20

// Read reads a saved JSON report. The error says what is wrong with it.
func Read(r io.Reader) (finding.Report, error) {
	var rep finding.Report
	data, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	if err != nil {
		return rep, err
	}
	if len(data) > maxReport {
		return rep, fmt.Errorf("larger than %d MiB, so it is no saved report", maxReport>>20)
	}
	if err := json.Unmarshal(data, &rep); err != nil {
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) { // whose own words are about Go's types
			return rep, fmt.Errorf("not a saved report: %s is a JSON %s, and -o json writes none there", cmp.Or(other.Field, "it"), other.Value)
		}
		return rep, fmt.Errorf("not a saved report: %w", err)
	}
	if rep.APIVersion != finding.APIVersion || rep.Kind != finding.ReportKind {
		return rep, fmt.Errorf("not a saved report: apiVersion %q and kind %q, want %q and %q",
			rep.APIVersion, rep.Kind, finding.APIVersion, finding.ReportKind)
	}
	for i, f := range rep.Findings {
		if f.Severity.Rank() == 0 {
			return rep, fmt.Errorf("not a saved report: findings[%d].severity is %q, want error, warning or info", i, f.Severity)
		}
	}
	return finding.NewReport(rep.At, rep.Findings, rep.Sources), nil
}

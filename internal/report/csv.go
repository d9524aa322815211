package report

import (
	"encoding/csv"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// table is CSV (RFC 4180): a finding a row.
type table struct{ w io.Writer }

func (t table) Handle(r finding.Report) error {
	rows := [][]string{{"code", "severity", "road", "subject", "message", "due", "file", "line", "column", "fix", "fix_command", "buys_time_command"}}
	for _, f := range r.Findings {
		due, stopgap := "", ""
		if !f.Due.IsZero() {
			due = f.Due.UTC().Format(time.RFC3339)
		}
		if f.Stopgap != nil {
			stopgap = f.Stopgap.Command
		}
		rows = append(rows, []string{
			f.Code, string(f.Severity), string(f.Road), f.Subject, f.Message, due,
			f.Where.File, number(f.Where.Line), number(f.Where.Column), f.Fix.Summary, f.Fix.Command, stopgap,
		})
	}
	return WriteTable(t.w, slices.Values(rows))
}

// WriteTable writes rows as CSV. What comes out of somebody's log is kept on
// one line, and from being taken for a formula by a spreadsheet.
func WriteTable(w io.Writer, rows iter.Seq[[]string]) error {
	out := csv.NewWriter(w)
	for row := range rows {
		safe := make([]string, len(row))
		for i, cell := range row {
			if safe[i] = clean(cell); strings.ContainsAny(cell[:min(1, len(cell))], "=+-@") {
				safe[i] = "'" + safe[i]
			}
		}
		if err := out.Write(safe); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

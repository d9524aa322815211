package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/kubecred/kubecred/finding"
)

// text is the format for people: by road, worst first, one idea a line.
type text struct {
	w io.Writer
	o Options
}

// ANSI colours, used only where Options.Color allows them.
const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	amber = "\x1b[33m"
	cyan  = "\x1b[36m"
	faint = "\x1b[2m"
)

func (t text) Handle(r finding.Report) error {
	var b bytes.Buffer
	for _, road := range finding.Roads() {
		t.road(&b, r, road)
	}
	t.closing(&b, r)
	_, err := t.w.Write(b.Bytes())
	return err
}

func (t text) paint(color, s string) string {
	if !t.o.Color || s == "" {
		return s
	}
	return color + s + reset
}

func severityColor(s finding.Severity) string {
	switch s {
	case finding.Error:
		return red
	case finding.Warning:
		return amber
	}
	return cyan
}

func (t text) road(b *bytes.Buffer, r finding.Report, road finding.Road) {
	var found []finding.Finding
	for _, f := range r.Findings {
		if f.Road == road {
			found = append(found, f)
		}
	}
	sources := 0
	for _, s := range r.Sources {
		if s.Road == road {
			sources++
		}
	}
	if len(found) == 0 && sources == 0 {
		return
	}
	fmt.Fprintf(b, "%s   %s\n", t.paint(bold, fmt.Sprintf("%-6s", road)), tally(found))
	for _, s := range r.Sources {
		if s.Road == road && s.Summary != "" {
			fmt.Fprintf(b, "  %s\n", t.paint(faint, clean(t.path(s.Name)+": "+s.Summary)))
		}
	}
	for _, f := range found {
		t.finding(b, f)
	}
}

// indent is where the lines under a finding's first one begin.
const indent = "         "

func (t text) finding(b *bytes.Buffer, f finding.Finding) {
	fmt.Fprintf(b, "  %s  %s: %s\n",
		t.paint(severityColor(f.Severity), f.Code), t.paint(bold, clean(f.Subject)), clean(f.Message))
	if place := t.place(f.Where); place != "" {
		if f.Where.Text != "" {
			place += "   " + clean(f.Where.Text)
		}
		fmt.Fprintf(b, "%s%s\n", indent, t.paint(faint, clean(place)))
	}
	for _, d := range f.Details {
		fmt.Fprintf(b, "%s%s\n", indent, clean(d))
	}
	type way struct {
		label string
		fix   finding.Fix
	}
	var ways []way
	if f.Stopgap != nil {
		ways = append(ways, way{"buys time", *f.Stopgap})
		ways = append(ways, way{"mends it", f.Fix})
	} else {
		ways = append(ways, way{"mend", f.Fix})
	}
	width := 0
	for _, w := range ways {
		width = max(width, len(w.label))
	}
	for _, w := range ways {
		line := w.fix.Command
		switch {
		case line == "":
			line = w.fix.Summary
		case w.fix.Summary != "":
			line += "   (" + w.fix.Summary + ")"
		}
		if line != "" {
			fmt.Fprintf(b, "%s%-*s   %s\n", indent, width, w.label, clean(line))
		}
	}
}

// place writes file:line:column, as far as each is known.
func (t text) place(w finding.Where) string {
	if w.File == "" {
		return ""
	}
	s := t.path(w.File)
	if w.Line > 0 {
		s += fmt.Sprintf(":%d", w.Line)
		if w.Column > 0 {
			s += fmt.Sprintf(":%d", w.Column)
		}
	}
	return s
}

func (t text) path(p string) string {
	if rest, ok := strings.CutPrefix(p, t.o.Home); ok && t.o.Home != "" && strings.HasPrefix(rest, "/") {
		return "~" + rest
	}
	return p
}

// Clean is for those who print lines of their own: it keeps what comes out of
// somebody's file on one line and without control characters.
func Clean(s string) string { return clean(s) }

// clean keeps what comes out of somebody's file on one line and without
// control characters, so that an input cannot move the cursor or fake a line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r == '\x1b' || unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\ufffd'
		}
		return r
	}, s)
}

func tally(found []finding.Finding) string {
	count := map[finding.Severity]int{}
	for _, f := range found {
		count[f.Severity]++
	}
	var parts []string
	for _, s := range []struct {
		severity  finding.Severity
		one, many string
	}{
		{finding.Error, "error", "errors"},
		{finding.Warning, "warning", "warnings"},
		{finding.Info, "note", "notes"},
	} {
		switch n := count[s.severity]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+s.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, s.many))
		}
	}
	if parts == nil {
		return "nothing found"
	}
	return strings.Join(parts, ", ")
}

// closing writes the one line that a person can act on.
func (t text) closing(b *bytes.Buffer, r finding.Report) {
	if len(r.Sources) == 0 && len(r.Findings) == 0 {
		fmt.Fprintln(b, "Nothing to check.")
		return
	}
	line := capitalize(tally(r.Findings)) + "."
	if first, why := begin(r); first != nil {
		line += "  Begin with " + clean(first.Subject) + why + "."
	}
	fmt.Fprintln(b, t.paint(bold, line))
}

// begin picks what to do first: what dies next is first while it can still be
// saved; then what is broken already.
func begin(r finding.Report) (*finding.Finding, string) {
	var next *finding.Finding
	for i, f := range r.Findings {
		if f.Severity != finding.Error || !f.Due.After(r.At) {
			continue
		}
		if next == nil || f.Due.Before(next.Due) {
			next = &r.Findings[i]
		}
	}
	const soon = 7 * 24 * time.Hour
	if next != nil && next.Due.Sub(r.At) <= soon {
		return next, ": " + finding.Span(next.Due.Sub(r.At)) + " left"
	}
	for _, severity := range []finding.Severity{finding.Error, finding.Warning} {
		for i, f := range r.Findings {
			if f.Severity == severity && (f.Due.IsZero() || !f.Due.After(r.At)) {
				if f.Fix.Command != "" {
					return &r.Findings[i], ": " + clean(f.Fix.Command)
				}
				return &r.Findings[i], ""
			}
		}
	}
	if next != nil {
		return next, ": " + finding.Span(next.Due.Sub(r.At)) + " left"
	}
	return nil, ""
}

func capitalize(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

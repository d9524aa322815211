package cli

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/calendar"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/satoken"
)

// writeCalendar writes the text of tokens list: a line a workload, then the
// findings that are more than a date.
func (a *app) writeCalendar(l tokenList, r finding.Report) error {
	var b bytes.Buffer
	p := l.calendar.Profile
	lives := "tokens are extended to " + life(p)
	if !p.Extended() {
		lives = "tokens are not extended"
	}
	fmt.Fprintf(&b, "profile %s: %s; judged as of %s\n", p.Name, lives, finding.Moment(l.calendar.At))
	for _, s := range l.sources() {
		fmt.Fprintf(&b, "%s: %s\n", report.Clean(s.Name), report.Clean(s.Summary))
	}
	if len(l.calendar.Workloads) > 0 {
		fmt.Fprintln(&b)
		rows := [][]string{{"WORKLOAD", "PODS", "OLDEST PROCESS", "REFUSED FROM", "LEFT", "NOTE"}}
		for _, w := range l.calendar.Workloads {
			rows = append(rows, l.row(w))
		}
		writeColumns(&b, "", rows)
		fmt.Fprintln(&b, "\nREFUSED FROM is the worst case: when a client that never reads its token again is refused.")
	}
	if _, err := a.Stdout.Write(b.Bytes()); err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(r.Findings), func(f finding.Finding) bool { return f.Code == "KC330" || f.Code == "KC333" })
	fmt.Fprintln(a.Stdout)
	h, err := report.New("text", a.Stdout, report.Options{Color: a.color(), Home: a.Home})
	if err != nil {
		return err
	}
	// The sources stand above; without summaries they are not shown again.
	var sources []finding.Source
	for _, s := range r.Sources {
		sources = append(sources, finding.Source{Road: s.Road, Name: s.Name})
	}
	return h.Handle(finding.NewReport(r.At, rest, sources))
}

func (l tokenList) row(w calendar.Workload) []string {
	started, refused, left, note := "-", "-", "-", ""
	if !w.OldestStart.IsZero() {
		started = w.OldestStart.Format("2006-01-02 15:04")
	}
	when := w.Refused
	verdict, dies := l.shown(w)
	if verdict != "" {
		when = time.Time{}
	}
	if verdict == satoken.Stale || verdict == satoken.Dead {
		when = dies
	}
	if !when.IsZero() {
		refused = when.Format("2006-01-02 15:04")
		left = finding.Span(when.Sub(l.calendar.At))
		if !when.After(l.calendar.At) {
			left += " ago"
		}
	}
	switch {
	case verdict == satoken.Fresh:
		note = "the log shows that it reads its token again"
	case verdict != "":
		note = "the log shows it " + string(verdict) + ", see below"
	case w.Offender != nil && w.Offender.Sure:
		note = w.Offender.Image + " never reads it again"
	case w.Offender != nil:
		note = w.Offender.Image + " may never read it again"
	case w.Token.Life == 0:
		note = "no token for the API server"
	case w.Refused.IsZero():
		note = "not started"
	case w.Outlived > 0:
		note = "older than a token can be: it reads its token again, or is refused"
	case !w.Token.Extended() || !l.calendar.Profile.Extended():
		note = fmt.Sprintf("its token lives %s", finding.Span(w.Token.Life))
	case w.Owner.Kind == "CronJob" || w.Owner.Kind == "Job":
		note = "each run begins with a new token"
	}
	if w.Above.Kind != "" {
		if note != "" {
			note += "; "
		}
		note += "made by " + w.Above.String()
	}
	return []string{workloadTitle(w.Owner), fmt.Sprint(w.Pods), started, refused, left, note}
}

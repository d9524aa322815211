package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/satoken"
)

// verdictRank orders verdicts, worst first.
func verdictRank(v satoken.Verdict) int {
	return slices.Index([]satoken.Verdict{satoken.Dead, satoken.Stale, satoken.ReloadsWhenRefused, satoken.Snoozed, satoken.Healed, satoken.Fresh}, v)
}

// writeTokens writes the text of tokens scan: a block a workload, a row a token.
func (a *app) writeTokens(s tokenScan, r finding.Report) error {
	var b bytes.Buffer
	p := s.judged.Profile
	extends := "tokens are extended to " + life(p)
	if !p.Extended() {
		extends = "tokens are not extended"
	}
	fmt.Fprintf(&b, "profile %s: %s; judged as of %s\n", p.Name, extends, finding.Moment(s.judged.At))
	for _, src := range s.sources() {
		fmt.Fprintf(&b, "%s: %s\n", report.Clean(src.Name), src.Summary)
	}
	if last := s.lastEvent(); !last.IsZero() && s.judged.At.Sub(last) > oldLog {
		fmt.Fprintf(&b, "the log ends %s before that; --now %s judges as of its end\n", finding.Span(s.judged.At.Sub(last)), last.Format("2006-01-02T15:04:05Z"))
	}
	if s.marks {
		fmt.Fprintln(&b, "marks and 401s only: a token that was replaced looks stale or dead here")
	}
	if n := s.judged.Before; n > 0 {
		fmt.Fprintf(&b, "%s before --since %s left out\n", plural(n, "event", "events"), was(n))
	}
	if n := s.judged.After; n > 0 {
		fmt.Fprintf(&b, "%s later than --now %s left out\n", plural(n, "event", "events"), was(n))
	}
	groups := s.groups()
	for i := range groups {
		slices.SortStableFunc(groups[i].tokens, func(x, y satoken.Token) int {
			return cmp.Or(verdictRank(x.Verdict)-verdictRank(y.Verdict), x.DiesAt.Compare(y.DiesAt), x.FirstSeen.Compare(y.FirstSeen))
		})
	}
	slices.SortStableFunc(groups, func(x, y workloadTokens) int {
		v, w := x.tokens[0], y.tokens[0]
		return cmp.Or(verdictRank(v.Verdict)-verdictRank(w.Verdict), v.DiesAt.Compare(w.DiesAt), cmp.Compare(x.title(), y.title()))
	})
	for _, g := range groups {
		s.writeGroup(&b, g)
	}
	s.writeRejected(&b)
	for _, f := range slices.Concat(s.refuted(), s.caveats(), s.sourceFindings()) {
		fmt.Fprintf(&b, "\n%s  %s: %s\n", f.Code, report.Clean(f.Subject), report.Clean(f.Message))
		for _, d := range f.Details {
			fmt.Fprintf(&b, "  %s\n", report.Clean(d))
		}
	}
	s.writeClosing(&b, groups)
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// oldLog is from when on a log is old enough to say so.
const oldLog = 48 * time.Hour

// lastEvent is the time of the latest event that was read.
func (s tokenScan) lastEvent() time.Time {
	var last time.Time
	for _, st := range s.stats {
		if st.Last.After(last) {
			last = st.Last
		}
	}
	return last
}

func was(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func (s tokenScan) writeGroup(b *bytes.Buffer, g workloadTokens) {
	fmt.Fprintf(b, "\n%s\n", report.Clean(g.title()+kindNote(g.workload)))
	rows := [][]string{{"VERDICT", "TOKEN", "POD", "DIES", "LEFT", "REQUESTS", "CLIENT"}}
	for _, toks := range foldFresh(g.tokens) {
		if len(toks) <= maxTokenLines {
			for _, t := range toks {
				rows = append(rows, s.row(t)...)
			}
			continue
		}
		var requests int64
		for _, t := range toks {
			requests += t.Requests
		}
		more := s.row(toks[0])
		more[0][1], more[0][5] = fmt.Sprintf("%d tokens", len(toks)), thousands(requests)
		rows = append(rows, more...)
	}
	writeColumns(b, "  ", rows)
	for _, v := range []satoken.Verdict{satoken.Dead, satoken.Stale, satoken.ReloadsWhenRefused, satoken.Snoozed} {
		toks := g.of(v)
		if len(toks) == 0 {
			continue
		}
		f := s.finding(g, v, toks)
		for _, d := range f.Details[:len(f.Details)-len(tokenLines(toks, s.judged.At))] {
			fmt.Fprintf(b, "  why         %s\n", report.Clean(d))
		}
		if f.Stopgap != nil {
			line := f.Stopgap.Command
			if line == "" {
				line = f.Stopgap.Summary
			} else {
				line += "   (" + f.Stopgap.Summary + ")"
			}
			fmt.Fprintf(b, "  buys time   %s\n", report.Clean(line))
		}
		fmt.Fprintf(b, "  mends it    %s\n", report.Clean(f.Fix.Summary))
		break // one advice a workload: that for the worst
	}
}

// foldFresh puts the fresh tokens of a pod and a client together: whoever reads
// its token again has one an hour.
func foldFresh(tokens []satoken.Token) [][]satoken.Token {
	var out [][]satoken.Token
	at := map[string]int{}
	for _, t := range tokens {
		if t.Verdict != satoken.Fresh {
			out = append(out, []satoken.Token{t})
			continue
		}
		key := fmt.Sprintf("%q %q %t %v", t.Pod, t.Node, t.Estimated, t.Clients)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], t)
	}
	return out
}

func kindNote(w satoken.Workload) string {
	if w.Kind == "" || w.Kind == "Pod" {
		return ""
	}
	return "   " + w.Kind + " " + w.Name + ", by its pods' names"
}

// row is the lines of one token: further clients get a line of their own.
func (s tokenScan) row(t satoken.Token) [][]string {
	verdict := string(t.Verdict)
	if t.Partial {
		verdict += ", partial"
	}
	dies, left := "", ""
	switch {
	case t.Verdict == satoken.Fresh:
	case t.DiesAt.IsZero():
		dies = "unknown"
	case t.Verdict == satoken.Snoozed && !t.SuccessorDiesAt.IsZero():
		dies, left = finding.Moment(t.SuccessorDiesAt), finding.Span(t.SuccessorDiesAt.Sub(s.judged.At))
	case t.DiesBy == satoken.ByForecast:
		dies, left = "an hour after its start", ""
	case t.DiesAt.After(s.judged.At):
		dies, left = finding.Moment(t.DiesAt), finding.Span(t.DiesAt.Sub(s.judged.At))
	default:
		dies, left = finding.Moment(t.DiesAt), finding.Span(s.judged.At.Sub(t.DiesAt))+" ago"
	}
	requests := thousands(t.Requests)
	if t.Estimated {
		requests = "about " + requests
	}
	id := t.CredentialID[:min(8, len(t.CredentialID))]
	if id == "" {
		id = "-"
	}
	client := "unknown"
	if len(t.Clients) > 0 {
		client = clientText(t.Clients[0])
	}
	rows := [][]string{{verdict, id, cmp.Or(t.Pod, "-"), dies, left, requests, client}}
	for i, c := range t.Clients[min(1, len(t.Clients)):] {
		if i == maxTokenLines {
			rows = append(rows, []string{"", "", "", "", "", "", fmt.Sprintf("and %d more", len(t.Clients)-1-i)})
			break
		}
		rows = append(rows, []string{"", "", "", "", "", "", clientText(c)})
	}
	return rows
}

// inCluster puts the cluster's name before a thing's, where there are several.
func inCluster(cluster, name string) string {
	if cluster == "" {
		return name
	}
	return cluster + ": " + name
}

func (s tokenScan) writeRejected(b *bytes.Buffer) {
	if len(s.judged.Rejected) == 0 {
		return
	}
	fmt.Fprintf(b, "\nrefused with 401\n")
	rows := [][]string{{"CLIENT", "REQUESTS", "LAST", "LIKELY"}}
	for i, r := range s.judged.Rejected {
		if i == 50 {
			rows = append(rows, []string{fmt.Sprintf("and %d more clients", len(s.judged.Rejected)-i), "", "", ""})
			break
		}
		rows = append(rows, []string{clientText(r.Client), thousands(r.Requests), finding.Moment(r.LastSeen), inCluster(r.Cluster, cmp.Or(r.Likely, "unknown"))})
	}
	writeColumns(b, "  ", rows)
}

// writeClosing ends with the numbers, and what to begin with.
func (s tokenScan) writeClosing(b *bytes.Buffer, groups []workloadTokens) {
	n := map[satoken.Verdict]int{}
	for _, t := range s.judged.Tokens {
		n[t.Verdict]++
	}
	var parts []string
	for _, v := range []struct {
		verdict   satoken.Verdict
		one, many string
	}{
		{satoken.Dead, "dead", "dead"}, {satoken.Stale, "will die", "will die"},
		{satoken.ReloadsWhenRefused, "looks worse than it is", "look worse than they are"},
		{satoken.Snoozed, "snoozed", "snoozed"}, {satoken.Healed, "healed", "healed"},
	} {
		if n[v.verdict] > 0 {
			parts = append(parts, plural(n[v.verdict], v.one, v.many))
		}
	}
	line := "No stale token"
	if s.judged.Seen > 0 {
		line += " among " + plural(s.judged.Seen, "token", "tokens")
	}
	switch {
	case len(parts) > 0:
		line = strings.Join(parts, ", ")
	case s.allOutside() != "":
		line = "No event is left to judge"
	}
	line += "." + s.beginWith(groups)
	fmt.Fprintf(b, "\n%s\n", line)
}

// beginWith names what is dead and lives again after a restart, or else what dies
// first.
func (s tokenScan) beginWith(groups []workloadTokens) string {
	for _, g := range groups {
		if toks := g.of(satoken.Dead); len(toks) > 0 {
			if f := s.finding(g, satoken.Dead, toks); f.Stopgap != nil && f.Stopgap.Command != "" && !toks[0].DiesAt.IsZero() {
				return fmt.Sprintf("  Begin with %s: dead for %s.", report.Clean(g.title()), finding.Span(s.judged.At.Sub(toks[0].DiesAt)))
			}
		}
	}
	for _, g := range groups {
		if t := g.tokens[0]; t.Verdict == satoken.Stale && t.DiesAt.After(s.judged.At) {
			return fmt.Sprintf("  Begin with %s: %s left.", report.Clean(g.title()), finding.Span(t.DiesAt.Sub(s.judged.At)))
		}
	}
	return ""
}

// writeColumns aligns cells; the last of a row is not padded.
func writeColumns(b *bytes.Buffer, indent string, rows [][]string) {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			r[i] = report.Clean(c)
			width[i] = max(width[i], len([]rune(r[i])))
		}
	}
	for _, r := range rows {
		line := indent
		for i, c := range r {
			line += c + strings.Repeat(" ", width[i]-len([]rune(c))+2)
		}
		fmt.Fprintln(b, strings.TrimRight(line, " "))
	}
}

package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// html is the format for a browser: one file that asks the network for nothing.
// Its content security policy allows its own style and script by their hashes
// and nothing else, so that even a text which found a way into the markup could
// not run or fetch anything. Everything is in the markup: without scripts the
// page loses its filters and nothing more.
type html struct{ w io.Writer }

//go:embed page/page.tmpl
var pageTemplate string

//go:embed page/page.css
var pageStyle string

//go:embed page/page.js
var pageScript string

// page is what the template shows.
type page struct {
	Title, Verdict    string
	At                moment
	CSP               string
	Style             template.CSS
	Script            template.JS
	Tally             []tile
	First             []row
	FirstLeft         int // errors that First leaves out
	Timeline          *timeline
	Rows              []row
	Roads, Namespaces []string
	Severities        []tile
	Codes             []finding.Code
	Sources           []finding.Source
}

// tile is a count with its name.
type tile struct {
	N           int
	Class, Name string
}

// moment is a time as a page shows it: for machines, for people, and from now.
type moment struct{ ISO, Text, Left string }

// row is one finding.
type row struct {
	ID, Code, Severity, SeverityName, Road string
	Namespace, Name                        string // of the subject
	Subject, Message, Place, PlaceText     string
	Details                                []string
	Due                                    *moment
	Bucket                                 int // of the timeline, -1 for no date
	Ways                                   []way
	Evidence                               []fact
}

// way is a way out: a command, or a sentence.
type way struct{ Label, Command, Summary string }

// fact is one entry of a finding's evidence.
type fact struct{ Key, Value string }

func (h html) Handle(r finding.Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{"count": count}).Parse(pageTemplate)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newPage(r)); err != nil {
		return err
	}
	_, err = h.w.Write(b.Bytes())
	return err
}

func newPage(r finding.Report) page {
	p := page{
		Title: "kubecred: " + tally(r.Findings),
		At:    moment{ISO: r.At.UTC().Format(time.RFC3339), Text: finding.Moment(r.At)},
		CSP: "default-src 'none'; style-src '" + cspHash(unix(pageStyle)) + "'; script-src '" + cspHash(unix(pageScript)) +
			"'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(unix(pageStyle)),
		Script: template.JS(unix(pageScript)),
	}
	for _, s := range r.Sources {
		p.Sources = append(p.Sources, finding.Source{Road: finding.Road(clean(string(s.Road))), Name: clean(s.Name), Summary: clean(s.Summary)})
	}
	for i, f := range r.Findings {
		p.Rows = append(p.Rows, newRow(r.At, i, f))
	}
	for _, s := range []struct {
		severity  finding.Severity
		one, many string
	}{{finding.Error, "error", "errors"}, {finding.Warning, "warning", "warnings"}, {finding.Info, "note", "notes"}} {
		n := r.Count(s.severity)
		name := s.many
		if n == 1 {
			name = s.one
		}
		p.Tally = append(p.Tally, tile{n, string(s.severity), name})
		if n > 0 {
			p.Severities = append(p.Severities, tile{n, string(s.severity), s.many})
		}
	}
	p.Verdict = "Nothing found."
	if first, why := begin(r); first != nil {
		p.Verdict = "Begin with " + clean(first.Subject) + why + "."
	} else if len(r.Findings) > 0 {
		p.Verdict = "Nothing is about to break."
	}
	p.First, p.FirstLeft = firstRows(r, p.Rows)
	p.Timeline = newTimeline(r, p.Rows)
	for _, road := range finding.Roads() {
		if slices.ContainsFunc(p.Rows, func(x row) bool { return x.Road == string(road) }) {
			p.Roads = append(p.Roads, string(road))
		}
	}
	seen := map[string]bool{}
	for _, x := range p.Rows {
		if x.Namespace != "" && !seen[x.Namespace] {
			seen[x.Namespace] = true
			p.Namespaces = append(p.Namespaces, x.Namespace)
		}
	}
	slices.Sort(p.Namespaces)
	codes := map[string]bool{}
	for _, f := range r.Findings {
		if c, ok := finding.Lookup(f.Code); ok && !codes[c.Code] {
			codes[c.Code] = true
			p.Codes = append(p.Codes, c)
		}
	}
	slices.SortFunc(p.Codes, func(a, b finding.Code) int { return strings.Compare(a.Code, b.Code) })
	return p
}

// unix ends lines as browsers do before they hash: a checkout may have changed it.
func unix(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// cspHash is a text's name in a content security policy.
func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func newRow(at time.Time, i int, f finding.Finding) row {
	x := row{
		ID: fmt.Sprintf("f%d", i+1), Code: clean(f.Code), Road: clean(string(f.Road)),
		Severity: "info", SeverityName: "note",
		Subject: clean(f.Subject), Message: clean(f.Message), Bucket: -1,
		Place: clean(text{}.place(f.Where)), PlaceText: clean(f.Where.Text),
		Evidence: facts(f.Evidence),
	}
	if f.Severity == finding.Error || f.Severity == finding.Warning {
		x.Severity, x.SeverityName = string(f.Severity), string(f.Severity)
	}
	x.Namespace, x.Name = splitSubject(f)
	for _, d := range f.Details {
		x.Details = append(x.Details, clean(d))
	}
	if !f.Due.IsZero() {
		m := momentOf(at, f.Due)
		x.Due, x.Bucket = &m, bucketOf(f.Due.Sub(at))
	}
	if f.Stopgap != nil {
		x.add("Buys time", *f.Stopgap)
		x.add("Mends it", f.Fix)
	} else {
		x.add("Mend", f.Fix)
	}
	return x
}

func (x *row) add(label string, f finding.Fix) {
	if f.Command != "" || f.Summary != "" {
		x.Ways = append(x.Ways, way{label, clean(f.Command), clean(f.Summary)})
	}
}

// momentOf writes a moment and how far it is from now.
func momentOf(at, due time.Time) moment {
	m := moment{ISO: due.UTC().Format(time.RFC3339), Text: finding.Moment(due)}
	if due.After(at) {
		m.Left = "in " + finding.Span(due.Sub(at))
	} else {
		m.Left = finding.Span(at.Sub(due)) + " ago"
	}
	return m
}

// splitSubject takes the namespace off the subject of the pod road, where subjects
// begin with "namespace/name", and leaves out what follows the name (", 2 pods").
// Evidence of that name comes first.
func splitSubject(f finding.Finding) (namespace, name string) {
	if f.Road != finding.Pod {
		return "", clean(f.Subject)
	}
	ns, name, ok := strings.Cut(f.Subject, "/")
	name, _, _ = strings.Cut(name, ", ")
	if given, _ := f.Evidence["namespace"].(string); given != "" {
		if given == ns {
			return clean(ns), clean(name)
		}
		return clean(given), clean(f.Subject)
	}
	if !ok || ns == "" || strings.ContainsAny(ns, " \t") {
		return "", clean(f.Subject)
	}
	return clean(ns), clean(name)
}

// firstSteps is how many findings "what to do first" names.
const firstSteps = 5

// firstRows picks the errors to begin with: what dies within a week, soonest first;
// then what is broken; then what dies later.
func firstRows(r finding.Report, rows []row) ([]row, int) {
	const soon = 7 * 24 * time.Hour
	rank := func(f finding.Finding) int {
		left := f.Due.Sub(r.At)
		switch {
		case !f.Due.IsZero() && left > 0 && left <= soon:
			return 0
		case f.Due.IsZero() || left <= 0:
			return 1
		}
		return 2
	}
	var picked []int
	for i, f := range r.Findings {
		if f.Severity == finding.Error {
			picked = append(picked, i)
		}
	}
	slices.SortStableFunc(picked, func(a, b int) int {
		fa, fb := r.Findings[a], r.Findings[b]
		if d := rank(fa) - rank(fb); d != 0 {
			return d
		}
		if rank(fa) == 1 {
			return 0 // in the report's own order
		}
		return fa.Due.Compare(fb.Due)
	})
	var out []row
	for _, i := range picked[:min(len(picked), firstSteps)] {
		out = append(out, rows[i])
	}
	return out, len(picked) - len(out)
}

// count writes a number with commas, as the page's script does.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

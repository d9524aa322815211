// Package finding holds the one value that every check of kubecred produces: a
// Finding, with a stable code, a place, a reason and a way out.
//
// A check never prints. It returns findings; a [Report] collects them with the
// moment they were judged at, and a [Handler] turns a Report into text, JSON or
// a format of a CI system. A Report survives a round trip through JSON
// unchanged, so a saved one can be shown in any format later.
//
// The texts that belong to a code (title, explanation, mending, sources and the
// error messages it is known by) are data, not code: see [Codes].
package finding

import (
	"cmp"
	"slices"
	"time"
)

// Severity says how bad a finding is.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // broken now, or will break without anyone touching it
	Warning Severity = "warning" // works, but surprises or weakens
	Info    Severity = "info"    // good to know
)

// Rank orders severities: 3 for Error, 2 for Warning, 1 for Info, 0 for others.
func (s Severity) Rank() int {
	switch s {
	case Error:
		return 3
	case Warning:
		return 2
	case Info:
		return 1
	}
	return 0
}

// Road is one of the four ways on which Kubernetes carries a credential.
type Road string

// The four roads.
const (
	Client Road = "client" // kubectl to the API server, through an exec plugin
	Server Road = "server" // the API server to a token webhook, then RBAC
	Node   Road = "node"   // the kubelet to an image registry
	Pod    Road = "pod"    // a workload to the API server
)

// Roads lists the roads in the order in which reports show them.
func Roads() []Road { return []Road{Client, Server, Node, Pod} }

// Where is a place in an input. Lines and columns count from 1; 0 means that
// there is none. Columns count characters, as editors show them.
type Where struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	// Text is the line's own text, trimmed. It never holds a secret: whoever
	// makes a finding leaves it empty where the line might.
	Text string `json:"text,omitempty"`
}

// Fix is a way out: a sentence, and a command where one does it.
type Fix struct {
	Summary string `json:"summary"`
	Command string `json:"command"`
}

// Finding is one thing that is broken, about to break, or worth knowing.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Road     Road     `json:"road"`
	// Subject is what the finding is about, in the field's own words:
	// "user prod", "kube-system/kube2iam", "provider ecr, pattern 3".
	Subject string `json:"subject"`
	Where   Where  `json:"where"`
	// Message is one line, without the subject and without a full stop.
	Message string `json:"message"`
	// Details are further lines of reason, one idea each.
	Details []string `json:"details,omitempty"`
	// Due is the moment at which it breaks, or broke.
	Due time.Time `json:"due,omitzero"`
	// Fix mends the cause.
	Fix Fix `json:"fix"`
	// Stopgap buys time and mends nothing.
	Stopgap *Fix `json:"stopgap,omitempty"`
	// Evidence holds the facts behind the message for programs to read. Its
	// values are those that encoding/json makes: string, float64, bool, nil,
	// []any, map[string]any.
	Evidence map[string]any `json:"evidence"`
}

// New returns a finding of a code, with the road and severity that the code
// has by default. It panics for a code that is not in the data: that is a
// programming error which every test of the check meets.
func New(code, subject, message string) Finding {
	c, ok := Lookup(code)
	if !ok {
		panic("finding: unknown code " + code)
	}
	return Finding{
		Code: code, Severity: c.Severity, Road: c.Road,
		Subject: subject, Message: message, Evidence: map[string]any{},
	}
}

// Source is something that was checked, whether or not anything was found.
type Source struct {
	Road Road `json:"road"`
	// Name is a path or an address.
	Name string `json:"name"`
	// Summary says in a few words what it held: "3 users, 2 contexts".
	Summary string `json:"summary,omitempty"`
}

// Report is the outcome of a run.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// At is the moment that the findings were judged at, from which times left
	// are counted.
	At       time.Time `json:"at"`
	Findings []Finding `json:"findings"`
	Sources  []Source  `json:"sources"`
}

// The apiVersion and kind of a Report's JSON.
const (
	APIVersion = "kubecred/v1"
	ReportKind = "Report"
)

// NewReport returns a report of the findings, sorted as reports show them.
func NewReport(at time.Time, findings []Finding, sources []Source) Report {
	r := Report{
		APIVersion: APIVersion, Kind: ReportKind, At: at.UTC(),
		Findings: slices.Clone(findings), Sources: slices.Clone(sources),
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if r.Sources == nil {
		r.Sources = []Source{}
	}
	for i := range r.Findings {
		if r.Findings[i].Evidence == nil {
			r.Findings[i].Evidence = map[string]any{}
		}
	}
	slices.SortStableFunc(r.Findings, Compare)
	return r
}

// Compare orders findings: by road, worst first, then what breaks soonest, then
// by code, place and subject.
func Compare(a, b Finding) int {
	roads := Roads()
	return cmp.Or(
		cmp.Compare(slices.Index(roads, a.Road), slices.Index(roads, b.Road)),
		cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
		compareDue(a.Due, b.Due),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Where.File, b.Where.File),
		cmp.Compare(a.Where.Line, b.Where.Line),
		cmp.Compare(a.Where.Column, b.Where.Column),
		cmp.Compare(a.Subject, b.Subject),
		cmp.Compare(a.Message, b.Message),
	)
}

// compareDue puts findings with a date before those without one.
func compareDue(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// Count returns how many findings have the severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Worst returns the worst severity in the report, or "" if it has no finding.
func (r Report) Worst() Severity {
	var worst Severity
	for _, f := range r.Findings {
		if f.Severity.Rank() > worst.Rank() {
			worst = f.Severity
		}
	}
	return worst
}

// Handler shows a report in one format.
type Handler interface {
	Handle(Report) error
}

// Package explain finds the cause of a credential fault in whatever a person
// has at hand: an error message, half a kubeconfig, a token, three log lines.
//
// It works in three steps. [Read] makes an input readable (UTF-16, colour
// codes, HTML and Windows line ends are undone, a log too large to hold is
// sampled). Recognisers then take the text apart by its content, never by its
// name, into pieces and facts with their place. At last the rules, which are
// data, are held against the facts, the text and the findings of the roads' own
// checks, and the causes that hold are ranked by how much of the evidence each
// of them explains.
//
// A rule shares the checks of the roads: where kubeconfig, imagecred, iammap or
// satoken can judge a piece, a rule asks for their finding's code and does not
// judge it again.
package explain

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// Options are what the person knows besides the inputs.
type Options struct {
	// At is the moment that times are judged at. Zero: the latest moment that
	// the input names, or Now where it names none.
	At time.Time
	// Now is the present moment.
	Now time.Time
	// KubernetesVersion is "1.31" or "v1.31.4", Profile one of eks, upstream,
	// gke, aks. Both may be empty.
	KubernetesVersion, Profile string
	// Audit judges audit events, one a line, as the check of audit logs does.
	// nil: only their marks are looked at.
	Audit func(events []byte, profile string, at time.Time) []finding.Finding
}

// Answer is what Judge makes of the inputs.
type Answer struct {
	// At is the moment that was judged at.
	At time.Time
	// Pieces says what was recognised, in the order of the inputs.
	Pieces []Piece
	// Causes are the explanations, the likeliest first.
	Causes []Cause
	// Add says what would help where the inputs decide nothing or not enough.
	Add []string
	// Ask are the questions whose answer would decide, likewise.
	Ask []Question
}

// Question asks for a missing piece.
type Question struct {
	// Text is the question, Prefix what to put before the answer so that it is
	// recognised ("image: ").
	Text, Prefix string
}

// Cause is one explanation.
type Cause struct {
	// Rule is the name of the rule in the data, or the code where a check of a
	// road or a message of the code speaks for itself.
	Rule string
	// Finding is the cause as reports show it.
	Finding finding.Finding
	// Signs are the places in the inputs that it explains.
	Signs []Sign
	// Score is the weight of those signs.
	Score int
	// Sure tells whether the signs are enough to act on.
	Sure bool
	// Tell is how to find out whether this cause or another one is it.
	Tell string
	// Trap says that the error means something else than it seems to.
	Trap bool
}

// Sign is one place in an input that speaks for a cause.
type Sign struct {
	Where finding.Where
	// What was seen there, in a few words, with no secret in it.
	What   string
	Weight int
	// said tells that a program said it, and not that a file is like that.
	said bool
}

// Judge judges the inputs together.
func Judge(texts []*Text, o Options) Answer {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	a := judgeTexts(texts, o)
	if whole, ok := unwrapped(texts); ok {
		if b := judgeTexts(whole, o); better(a, b) {
			return b
		}
	}
	return a
}

func judgeTexts(texts []*Text, o Options) Answer {
	e := newEvidence(o)
	for _, t := range texts {
		e.read(t)
	}
	e.settle()
	causes := judgeRules(e)
	a := Answer{At: e.at, Pieces: e.pieces, Causes: causes}
	a.Add, a.Ask = missing(e, causes)
	return a
}

// Report returns the answer as a report whose findings are ranked: the first
// is the likeliest cause.
func (a Answer) Report() finding.Report {
	r := finding.NewReport(a.At, nil, nil)
	for _, c := range a.Causes {
		r.Findings = append(r.Findings, c.Finding)
	}
	for _, p := range a.Pieces {
		r.Sources = append(r.Sources, finding.Source{Road: p.Road, Name: p.Where.File, Summary: p.String()})
	}
	return r
}

// rank orders causes: those to act on before guesses, however many lines the
// guess fits, then the weightiest first, then the worse one, then by rule.
func rank(causes []Cause) {
	sure := func(c Cause) int {
		if c.Sure {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(causes, func(a, b Cause) int {
		return cmp.Or(
			cmp.Compare(sure(b), sure(a)),
			cmp.Compare(b.Score, a.Score),
			cmp.Compare(b.Finding.Severity.Rank(), a.Finding.Severity.Rank()),
			cmp.Compare(stage(a), stage(b)),
			strings.Compare(a.Rule, b.Rule),
		)
	})
}

// stage is 0 for causes that keep a program from reading the rest, which cannot be
// judged then, and 1 for the others.
func stage(c Cause) int {
	if named([]string{"KC120", "KC123", "KC125", "KC127-KC128", "KC201", "KC404"}, c.Finding.Code) {
		return 0
	}
	return 1
}

// strong is the weight from which a text is that of one fault and no other:
// words that only go with others have less in the rules.
const strong = weightText

// saidFirst puts what a program complained about before what merely stands in a
// file: a flaw of the file that the error does not speak of is not why it failed.
func saidFirst(causes []Cause) {
	said := func(c Cause) bool {
		return slices.ContainsFunc(c.Signs, func(s Sign) bool { return s.said && s.Weight > 2 })
	}
	if len(causes) == 0 || said(causes[0]) {
		return
	}
	for i, c := range causes {
		if c.Sure && slices.ContainsFunc(c.Signs, func(s Sign) bool { return s.said && s.Weight >= strong }) {
			c.Score = causes[0].Score // the order stays one of weights
			copy(causes[1:i+1], causes[:i])
			causes[0] = c
			return
		}
	}
}

// Fault tells whether the inputs hold a sign of something that failed, so that
// having no cause means not knowing, and not that all is well.
func (a Answer) Fault() bool {
	for _, p := range a.Pieces {
		switch p.Kind {
		case "kubectl error", "client library error", "error message", "pod event", "AWS error", "Microsoft Entra error",
			"Python traceback", "API server log line", "aws-iam-authenticator log line", "kubelet log line", "containerd log line":
			return true
		}
	}
	return false
}

// Shown are the causes to show a person: the first, and those that compete
// with it.
func (a Answer) Shown() []Cause {
	var out []Cause
	for i, c := range a.Causes {
		if i > 0 && (len(out) == 4 || c.Score*2 < a.Causes[0].Score || a.Causes[0].Sure && !c.Sure) {
			continue
		}
		out = append(out, c)
	}
	return out
}

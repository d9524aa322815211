package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// The weights that a sign has unless its rule says otherwise.
const (
	weightMessage = 10 // an error text that a program is known to print
	weightText    = 8
	weightFact    = 4
	weightError   = 12 // a road's check says that it is broken
	weightWarning = 7
	weightInfo    = 3

	sureFrom = 8 // a cause with less weight is a guess
)

// notes are findings that hold for most files and explain no failure by
// themselves: they are last.
var notes = map[string]int{"KC104": 1, "KC106": 1, "KC113": 2, "KC137": 1, "KC227": 1, "KC231": 1, "KC232": 1}

func weightOf(f finding.Finding) int {
	if f.Code == "KC139" { // who asks for help takes secrets out: 'kubectl config view' does
		return weightInfo
	}
	if w, ok := notes[f.Code]; ok && f.Severity == finding.Info {
		return w
	}
	switch f.Severity {
	case finding.Error:
		return weightError
	case finding.Warning:
		return weightWarning
	}
	return weightInfo
}

// judgeRules holds every rule against the evidence, then lets the checks and
// messages that no rule took up speak for themselves.
func judgeRules(e *evidence) []Cause {
	var causes []Cause
	taken := map[string]bool{} // codes that a rule has spoken for
	dropped := map[string]bool{}
	for i := range rules() {
		r := &rules()[i]
		if c, ok := r.judge(e); ok {
			causes = append(causes, c)
			taken[r.Code] = true
			for _, o := range r.Over {
				dropped[o] = true
			}
		}
	}
	for _, f := range e.ordered {
		causes = mergeFinding(causes, f, e)
	}
	for _, m := range messages() {
		if taken[m.code.Code] {
			continue
		}
		if s, ok := e.match(m.pattern); ok {
			s.Weight, s.said = weightMessage, true
			causes = mergeMessage(causes, m, s, e)
		}
	}
	causes = slices.DeleteFunc(causes, func(c Cause) bool {
		return dropped[c.Rule] || dropped[c.Finding.Code] && !namedRule(c)
	})
	e.refute(causes)
	causes = yield(causes)
	for i := range causes {
		causes[i].Sure = causes[i].Sure && causes[i].Score >= sureFrom
	}
	rank(causes)
	saidFirst(causes)
	return finish(e, causes)
}

// namedRule tells whether the cause comes from a rule of the data.
func namedRule(c Cause) bool { return c.Rule != c.Finding.Code }

// judge returns the cause if every condition of the rule holds.
func (r *rule) judge(e *evidence) (Cause, bool) {
	var signs []Sign
	for i := range r.When {
		s, ok := r.When[i].holds(e)
		if !ok {
			return Cause{}, false
		}
		signs = append(signs, s...)
	}
	for i := range r.Also {
		if s, ok := r.Also[i].holds(e); ok {
			signs = append(signs, s...)
		}
	}
	f := finding.New(r.Code, e.fill(r.Subject), "")
	code, _ := finding.Lookup(r.Code)
	f.Message = e.fill(cmpOr(r.Cause, code.Title))
	if r.Severity != "" {
		f.Severity = r.Severity
	}
	f.Fix = finding.Fix{Summary: e.fill(cmpOr(r.Fix, code.Mending)), Command: e.fill(r.Command)}
	for _, w := range r.Why {
		f.Details = append(f.Details, e.fill(w))
	}
	if r.Stopgap != "" {
		f.Stopgap = &finding.Fix{Summary: e.fill(r.Stopgap)}
	}
	c := Cause{Rule: r.ID, Finding: f, Signs: signs, Sure: !r.Weak, Tell: e.fill(r.Tell), Trap: r.Trap}
	// What the road's own check said is kept: its place, its evidence.
	for _, s := range findingConds(r.When) {
		for _, own := range e.findings[s] {
			if own.Code == r.Code {
				c.Finding = adopt(own, f, r.Fix != "")
				break
			}
		}
	}
	c.weigh()
	return c, true
}

func findingConds(list []cond) []string {
	var out []string
	for _, c := range list {
		if c.Finding != "" {
			out = append(out, c.Finding)
		}
		out = append(out, findingConds(c.Any)...)
		out = append(out, findingConds(c.All)...)
	}
	return out
}

// adopt puts a rule's words around the finding of a road's check. ruleFix says
// that the rule has a mending of its own.
func adopt(own, f finding.Finding, ruleFix bool) finding.Finding {
	out := own
	out.Details = append(slices.Clone(own.Details), f.Details...)
	if f.Message != "" && !strings.Contains(own.Message, f.Message) {
		out.Details = append(out.Details, f.Message)
	}
	switch {
	case out.Fix.Summary == "":
		out.Fix = f.Fix
	case ruleFix: // the rule knows more than the check
		out.Fix.Summary = f.Fix.Summary
	}
	return out
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// weigh sums the signs; the same place counts once.
func (c *Cause) weigh() {
	seen := map[string]int{}
	var out []Sign
	for _, s := range c.Signs {
		id := fmt.Sprintf("%s\x00%d\x00%s", s.Where.File, s.Where.Line, s.What)
		if i, ok := seen[id]; ok {
			out[i].Weight = max(out[i].Weight, s.Weight)
			continue
		}
		seen[id] = len(out)
		out = append(out, s)
	}
	c.Signs, c.Score = out, 0
	for _, s := range out {
		c.Score += s.Weight
	}
	if c.Finding.Where.Line == 0 {
		for _, s := range out {
			if s.Where.Line > 0 {
				c.Finding.Where = s.Where
				break
			}
		}
	}
}

// maxDetails bounds what one cause says of itself.
const maxDetails = 40

// mergeFinding adds what a road's check found to the causes that name its code,
// or makes a cause of it.
func mergeFinding(causes []Cause, f finding.Finding, e *evidence) []Cause {
	w := weightOf(f)
	sign := Sign{Where: f.Where, What: f.Message, Weight: w}
	for i := range causes {
		if causes[i].Finding.Code == f.Code {
			if namedRule(causes[i]) || len(causes[i].Finding.Details) > maxDetails {
				return causes
			}
			c := &causes[i]
			c.Signs = append(c.Signs, sign)
			c.Finding.Details = append(c.Finding.Details, strings.TrimSpace(f.Subject+": "+f.Message))
			return causes
		}
	}
	if f.Fix.Summary == "" {
		code, _ := finding.Lookup(f.Code)
		f.Fix.Summary = code.Mending
	}
	c := Cause{Rule: f.Code, Finding: f, Signs: []Sign{sign}, Sure: true, Score: w}
	return append(causes, c)
}

// mergeMessage does the same for an error text of a code.
func mergeMessage(causes []Cause, m message, s Sign, e *evidence) []Cause {
	for i := range causes {
		if causes[i].Finding.Code == m.code.Code {
			causes[i].Signs = append(causes[i].Signs, s)
			causes[i].weigh()
			return causes
		}
	}
	f := finding.New(m.code.Code, "", m.code.Title)
	f.Fix.Summary = m.code.Mending
	c := Cause{Rule: m.code.Code, Finding: f, Signs: []Sign{s}, Sure: true}
	c.weigh()
	return append(causes, c)
}

// holds tells whether the condition holds and what speaks for it.
func (c *cond) holds(e *evidence) ([]Sign, bool) {
	weight := func(s Sign, w int) []Sign {
		s.Weight = w
		if c.Weight != nil {
			s.Weight = *c.Weight
		}
		return []Sign{s}
	}
	switch {
	case c.pattern != nil:
		s, ok := e.match(c.pattern)
		s.said = true
		return weight(s, weightText), ok
	case c.Message != "":
		for _, m := range messages() {
			if m.code.Code == c.Message {
				if s, ok := e.match(m.pattern); ok {
					s.said = true
					return weight(s, weightMessage), true
				}
			}
		}
		return nil, false
	case c.test != nil:
		for _, f := range e.facts[c.test.key] {
			if c.test.holds(f.value) {
				return weight(Sign{Where: f.where, What: f.key + " " + f.value}, weightFact), true
			}
		}
		return nil, false
	case c.Finding != "":
		for _, f := range e.findings[c.Finding] {
			return weight(Sign{Where: f.Where, What: f.Message}, weightOf(f)), true
		}
		return nil, false
	case c.Not != nil:
		_, ok := c.Not.holds(e)
		return nil, !ok
	case c.All != nil:
		var out []Sign
		for i := range c.All {
			s, ok := c.All[i].holds(e)
			if !ok {
				return nil, false
			}
			out = append(out, s...)
		}
		return out, true
	}
	var out []Sign
	any := false
	for i := range c.Any {
		if s, ok := c.Any[i].holds(e); ok {
			any = true
			out = append(out, s...)
		}
	}
	return out, any
}

var placeholder = lazyexp.New(`\{([a-zA-Z][a-zA-Z0-9._-]*)(?:\|([^{}]*))?\}`)

// fill puts facts into a text: {key} or {key|what to say where there is none}.
func (e *evidence) fill(s string) string {
	return placeholder().ReplaceAllStringFunc(s, func(m string) string {
		p := placeholder().FindStringSubmatch(m)
		if v := e.first(p[1]); v != "" {
			return Redacted(v)
		}
		return p[2]
	})
}

// finish puts into each finding's evidence what a program wants to know.
func finish(e *evidence, causes []Cause) []Cause {
	total := 0
	seen := map[string]int{}
	for _, c := range causes {
		for _, s := range c.Signs {
			id := fmt.Sprintf("%s\x00%d\x00%d", s.Where.File, s.Where.Line, s.Where.Column)
			seen[id] = max(seen[id], s.Weight)
		}
	}
	for _, w := range seen {
		total += w
	}
	for i := range causes {
		c := &causes[i]
		e.showPlace(&c.Finding.Where)
		for k := range c.Signs {
			e.showPlace(&c.Signs[k].Where)
		}
		c.Finding.Evidence = e.evidenceOf(c, total)
	}
	return causes
}

// showPlace adds the line's text to a place.
func (e *evidence) showPlace(w *finding.Where) {
	if w.Text != "" || w.Line == 0 {
		return
	}
	for _, s := range e.texts {
		if s.t.Name == w.File {
			w.Text = s.t.show(*w, s.clean)
			return
		}
	}
}

func (e *evidence) evidenceOf(c *Cause, total int) map[string]any {
	out := map[string]any{}
	for k, v := range c.Finding.Evidence {
		out[k] = v
	}
	code, _ := finding.Lookup(c.Finding.Code)
	var signs []any
	for _, s := range c.Signs {
		m := map[string]any{"saw": Redacted(s.What), "weight": float64(s.Weight)}
		if s.Where.File != "" {
			m["file"] = s.Where.File
		}
		if s.Where.Line > 0 {
			m["line"], m["column"] = float64(s.Where.Line), float64(s.Where.Column)
		}
		if s.Where.Text != "" {
			m["text"] = s.Where.Text
		}
		signs = append(signs, m)
	}
	confidence := "low"
	switch {
	case c.Sure && c.Score >= 2*sureFrom:
		confidence = "high"
	case c.Sure:
		confidence = "medium"
	}
	out["signs"] = signs
	out["rule"] = c.Rule
	out["confidence"] = confidence
	out["explanation"] = code.Explanation
	out["title"] = code.Title
	out["mending"] = code.Mending
	if total > 0 {
		out["explains"] = float64(c.Score*100/max(total, c.Score)) / 100
	}
	if c.Tell != "" {
		out["tellApart"] = c.Tell
	}
	if c.Trap {
		out["trap"] = true
	}
	if len(c.Finding.Details) > 0 {
		list := make([]any, len(c.Finding.Details))
		for i, d := range c.Finding.Details {
			list[i] = d
		}
		out["details"] = list
	}
	if len(code.Sources) > 0 {
		list := make([]any, len(code.Sources))
		for i, s := range code.Sources {
			list[i] = s
		}
		out["sources"] = list
	}
	return out
}

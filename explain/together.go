package explain

import "github.com/kubecred/kubecred/finding"

// Together holds the rules against findings that checks have made already, as
// doctor's are, and returns the causes that join two of them or more: one root
// of what looks like several faults. The likeliest comes first. The findings
// themselves are not repeated.
func Together(findings []finding.Finding, o Options) []Cause {
	e := newEvidence(o)
	e.found(findings...)
	e.settle()
	var out []Cause
	dropped := map[string]bool{}
	for i := range rules() {
		r := &rules()[i]
		c, ok := r.judge(e)
		if !ok || !joins(c, findings) {
			continue
		}
		out = append(out, c)
		for _, o := range r.Over {
			dropped[o] = true
		}
	}
	kept := out[:0]
	for _, c := range out {
		if !dropped[c.Rule] {
			kept = append(kept, c)
		}
	}
	rank(kept)
	return finish(e, kept)
}

// joins tells whether the cause's signs are findings of two codes or more.
func joins(c Cause, findings []finding.Finding) bool {
	codes := map[string]bool{}
	for _, s := range c.Signs {
		for _, f := range findings {
			if s.What == f.Message && s.Where.Line == f.Where.Line {
				codes[f.Code] = true
			}
		}
	}
	return len(codes) > 1
}

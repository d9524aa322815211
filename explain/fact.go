package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/iammap"
)

// Piece is something that was recognised in an input.
type Piece struct {
	// Kind says what it is: "kubeconfig", "JWT", "kubectl error".
	Kind string
	// Road is the road that such a piece belongs to; empty where it is any.
	Road    finding.Road
	Where   finding.Where
	Summary string
}

func (p Piece) String() string {
	if p.Summary == "" {
		return p.Kind
	}
	return p.Kind + ", " + p.Summary
}

// fact is one thing that a recogniser read out of an input. It never holds a
// secret.
type fact struct {
	key, value string
	where      finding.Where
}

// evidence is everything that is known before the rules judge.
type evidence struct {
	o        Options
	at       time.Time
	latest   time.Time // the latest moment that an input names
	texts    []*scan
	pieces   []Piece
	facts    map[string][]fact
	findings map[string][]finding.Finding // what the roads' checks found, by code
	ordered  []finding.Finding
	seen     map[string]bool
	later    []func() // judged when every input is read
	mapped   []*iammap.Source
	mappedAt []span
	audit    []byte // audit events, one a line
}

func newEvidence(o Options) *evidence {
	return &evidence{o: o, facts: map[string][]fact{}, findings: map[string][]finding.Finding{}, seen: map[string]bool{}}
}

// add notes a fact once for each value.
func (e *evidence) add(key, value string, w finding.Where) {
	value = shorten(value, 300)
	id := key + "\x00" + value
	if value == "" || e.seen[id] {
		return
	}
	e.seen[id] = true
	e.facts[key] = append(e.facts[key], fact{key, value, w})
}

// piece notes a piece once for each place and kind.
func (e *evidence) piece(p Piece) {
	id := fmt.Sprintf("piece\x00%s\x00%s\x00%d", p.Kind, p.Where.File, p.Where.Line)
	if e.seen[id] || len(e.pieces) >= maxPieces {
		return
	}
	e.seen[id] = true
	e.pieces = append(e.pieces, p)
}

const maxPieces = 200

// found notes what a road's own check says.
func (e *evidence) found(fs ...finding.Finding) {
	for _, f := range fs {
		id := fmt.Sprintf("finding\x00%s\x00%s\x00%s\x00%d\x00%s", f.Code, f.Subject, f.Where.File, f.Where.Line, f.Message)
		if e.seen[id] {
			continue
		}
		e.seen[id] = true
		e.findings[f.Code] = append(e.findings[f.Code], f)
		e.ordered = append(e.ordered, f)
	}
}

func (e *evidence) first(key string) string {
	if fs := e.facts[key]; len(fs) > 0 {
		return fs[0].value
	}
	return ""
}

func (e *evidence) has(kind string) bool {
	for _, p := range e.pieces {
		if p.Kind == kind {
			return true
		}
	}
	return false
}

// moment notes a time that the input names.
func (e *evidence) moment(t time.Time) {
	if t.After(e.latest) && t.Before(e.o.Now.AddDate(1, 0, 0)) {
		e.latest = t
	}
}

// settle fixes the moment that is judged at and runs what had to wait for it.
func (e *evidence) settle() {
	switch {
	case !e.o.At.IsZero():
		e.at = e.o.At
		e.add("time.known", "flag", finding.Where{})
	case !e.latest.IsZero():
		e.at = e.latest
		e.add("time.known", "input", finding.Where{})
	default:
		e.at = e.o.Now
	}
	if v := e.o.KubernetesVersion; v != "" {
		e.add("kubernetes.version", strings.TrimPrefix(v, "v"), finding.Where{})
	}
	if p := e.o.Profile; p != "" {
		e.add("profile", p, finding.Where{})
	}
	for _, f := range e.later {
		f()
	}
	e.namePlugin()
	e.comparePullSecret()
	e.compareAudiences()
	e.compareTimes()
	e.comparePolicy()
	e.compareProvider()
	e.lookUpARNs()
	e.judgeAudit()
}

// comparePullSecret notes images whose host no entry of a docker config is for.
// The kubelet's own comparison of keys is wider for paths and globs, so only
// hosts are judged, and only where no key has a glob.
func (e *evidence) comparePullSecret() {
	keys := e.facts["dockerconfig.host"]
	if len(keys) == 0 {
		return
	}
	for _, im := range e.facts["image.host"] {
		found := false
		for _, k := range keys {
			host := hostOf(k.value)
			if host == "index.docker.io" || host == "registry-1.docker.io" {
				host = "docker.io"
			}
			found = found || host == im.value || strings.Contains(host, "*")
		}
		if !found {
			e.add("dockerconfig.otherHost", im.value, keys[0].where)
		}
	}
}

// compareAudiences notes a TokenReview whose answer has none of the audiences
// that were asked for.
func (e *evidence) compareAudiences() {
	got, want := e.facts["tokenreview.audience"], e.facts["tokenreview.asked"]
	if len(got) == 0 || len(want) == 0 {
		return
	}
	for _, g := range got {
		for _, w := range want {
			if g.value == w.value {
				return
			}
		}
	}
	e.add("tokenreview.otherAudience", got[0].value, got[0].where)
}

package satoken

import (
	"slices"
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

// refuse counts a request that was answered 401 before it had a user.
func (t *Tally) refuse(ev *auditlog.Event, at int64) {
	t.scratch = append(append(append(t.scratch[:0], ev.SourceIP...), 0), ev.UserAgent...)
	r, ok := t.refused[string(t.scratch)]
	if !ok {
		if len(t.refused) >= maxRefused {
			t.dropped++
			return
		}
		r = &refused{client: Client{t.intern(ev.UserAgent), t.intern(ev.SourceIP)}, first: at, last: at}
		t.refused[string(t.scratch)] = r
	}
	r.first, r.last = min(r.first, at), max(r.last, at)
	r.ids.insert(auditlog.HashID(ev.AuditID), 1<<14)
	r.times.insert(at)
}

// timeSet keeps times as spans of a width that doubles when there are too many.
// What it keeps does not depend on the order in which times come.
type timeSet struct {
	spans map[int64][2]int64 // by time/width: the first and last time within
	width int64
}

const maxSpans = 512

func (s *timeSet) insert(at int64) {
	if s.spans == nil {
		s.spans, s.width = map[int64][2]int64{}, int64(10*time.Second)
	}
	s.put(at, at)
	for len(s.spans) > maxSpans {
		old := s.spans
		s.spans, s.width = map[int64][2]int64{}, s.width*2
		for _, span := range old {
			s.put(span[0], span[1])
		}
	}
}

func (s *timeSet) put(from, to int64) {
	key := from / s.width
	span, ok := s.spans[key]
	if !ok {
		span = [2]int64{from, to}
	}
	s.spans[key] = [2]int64{min(span[0], from), max(span[1], to)}
}

// after returns the first known time at or after the given one.
func (s *timeSet) after(at int64) (int64, bool) {
	best, ok := int64(0), false
	for _, span := range s.spans {
		for _, x := range span {
			if x >= at && (!ok || x < best) {
				best, ok = x, true
			}
		}
	}
	return best, ok
}

// idle is how long a fresh token may be unused before it is surely dead: its
// hour is over, and the log's clock has gone on for half as long again.
const idle = int64(90 * time.Minute)

// forget lets go of fresh tokens that are out of use, when there are many, so
// that memory is bounded by what lives and not by the length of the log. What
// they prove of their account is kept.
func (t *Tally) forget() {
	if len(t.tokens) < t.forgetAt {
		return
	}
	for id, tok := range t.tokens {
		if tok.issued != 0 || tok.last > t.newest-idle {
			continue
		}
		t.remember(tok)
		t.budget.fresh.used -= tok.ids.n
		t.left++
		delete(t.tokens, id)
	}
	t.forgetAt = max(maxFresh, len(t.tokens)+len(t.tokens)/16)
	if len(t.names) >= 4*maxRefused {
		t.names = map[string]string{}
	}
}

// remember keeps what a token that is let go proves of its account.
func (t *Tally) remember(tok *token) {
	key := owner{tok.account, tok.owner}
	f := t.forgotten[key]
	if f == nil || tok.first > f.first || tok.first == f.first && tok.last > f.last {
		f = &forgotten{tok.pod, tok.podUID, tok.first, tok.last}
		t.forgotten[key] = f
	} else {
		f = nil
	}
	if tok.note != nil {
		tok.note.token, tok.note.gone = nil, f
	}
}

// gone are tokens that stand for those that were forgotten, by account.
func (t *Tally) gone() map[string][]*token {
	out := map[string][]*token{}
	for of, f := range t.forgotten {
		out[of.account] = append(out[of.account], &token{account: of.account, owner: of.uid, pod: f.pod, podUID: f.podUID, first: f.first, last: f.last})
	}
	for _, toks := range out {
		slices.SortFunc(toks, compareTokens)
	}
	return out
}

// sorted returns the refused clients in an order that does not depend on maps.
func (t *Tally) sortedRefused() []*refused {
	out := make([]*refused, 0, len(t.refused))
	for _, r := range t.refused {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *refused) int { return compareClients(a.client, b.client) })
	return out
}

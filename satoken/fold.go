package satoken

import (
	"math"
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

// Fold lets a scan for this tally leave out what says nothing new. That changes
// nothing of what the tally comes to.
func (t *Tally) Fold() *auditlog.Fold {
	from, until := t.o.bounds()
	return &auditlog.Fold{From: from, Until: until, Used: t.used}
}

// noID says that no event's id counts (auditlog.Sender.Fold).
const noID = 64

// fold tells a scan which ids of the token's events still count. The token's lock, or
// the tally's, is held.
func (tok *token) fold(s *auditlog.Sender) {
	if tok.issued != 0 {
		s.Fold(noID) // only those of marked requests are counted, which are not left out
	} else {
		s.Fold(tok.ids.shift)
	}
}

// used counts what a scan left of events.
func (t *Tally) used(uses []auditlog.Use) {
	if gone := t.shareUses(uses); len(gone) > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, u := range gone {
			if f := noteOf(u.Sender).gone; f != nil {
				f.first, f.last = min(f.first, u.First), max(f.last, u.Last)
			}
		}
	}
}

// shareUses counts the uses of tokens that are known, and returns those of others.
func (t *Tally) shareUses(uses []auditlog.Use) (gone []auditlog.Use) {
	c := crowd{newest: math.MinInt64, oldest: math.MaxInt64}
	t.mu.RLock()
	for i := range uses {
		if n := noteOf(uses[i].Sender); n != nil && n.token != nil {
			c.near += len(n.token.account)
		}
	}
	for i := range uses {
		u := &uses[i]
		c.newest, c.oldest = max(c.newest, u.Last), min(c.oldest, u.First)
		switch n := noteOf(u.Sender); {
		case n == nil || n.tally != t: // no token's
		case n.token != nil:
			c.use(n.token, u, &t.budget)
		default:
			gone = append(gone, *u)
		}
	}
	full := t.tellCrowd(&c)
	t.mu.RUnlock()
	if full {
		t.mu.Lock()
		t.economise(&t.budget.fresh)
		t.mu.Unlock()
	}
	return gone
}

// use counts what is left of events of a token.
func (c *crowd) use(tok *token, u *auditlog.Use, b *budget) {
	tok.mu.Lock()
	defer tok.mu.Unlock()
	tok.first, tok.last = min(tok.first, u.First), max(tok.last, u.Last)
	if u.ID != 0 && tok.issued == 0 {
		c.fresh += tok.ids.insert(u.ID, b.fresh.each)
		tok.fold(u.Sender)
	}
}

// bounds are the first and the last time that counts, in nanoseconds since 1970.
func (o TallyOptions) bounds() (from, until int64) {
	from, until = math.MinInt64, math.MaxInt64
	if !o.From.IsZero() {
		from = nanos(o.From)
	}
	if !o.Until.IsZero() {
		until = nanos(o.Until)
	}
	return from, until
}

// nanos is a bound's time, as far as an event's may be from it.
func nanos(t time.Time) int64 {
	switch y := t.UTC().Year(); {
	case y < 1700:
		return math.MinInt64
	case y >= 2250:
		return math.MaxInt64
	}
	return t.UnixNano()
}

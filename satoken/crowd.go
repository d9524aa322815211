package satoken

import (
	"bytes"
	"math"

	"github.com/kubecred/kubecred/auditlog"
)

// Nearly all events say no more than that a token which is known was used once
// more. Several goroutines count those at once: they share the tally, and lock
// one token at a time. Whatever else an event says is for one goroutine alone.

// crowd is what counting some events comes to, besides their tokens.
type crowd struct {
	newest, oldest int64
	early, late    int64
	fresh          int   // by how many ids the sets of fresh tokens grew
	rest           []int // the events that are not counted yet
}

// share counts the events of tokens that are known. t.mu is held for reading.
func (t *Tally) share(events []auditlog.Event) crowd {
	c := crowd{newest: math.MinInt64, oldest: math.MaxInt64}
	for i := range events {
		ev := &events[i]
		if !t.o.From.IsZero() && ev.Time.Before(t.o.From) {
			c.early++
			continue
		}
		if !t.o.Until.IsZero() && ev.Time.After(t.o.Until) {
			c.late++
			continue
		}
		at := ev.Time.UnixNano()
		c.newest, c.oldest = max(c.newest, at), min(c.oldest, at)
		if len(ev.Mark) > 0 || len(ev.Issued) > 0 {
			c.rest = append(c.rest, i)
			continue
		}
		var n *note
		if ev.Sender != nil {
			n, _ = ev.Sender.Note.(*note)
		}
		switch {
		case n != nil && n.tally == t && n.forgets == t.forgets:
			grown, ok := n.count(ev, at, t.budget.fresh.each)
			c.fresh += grown
			if !ok {
				c.rest = append(c.rest, i)
			}
		case ev.Code != 401 && !bytes.HasPrefix(ev.Username, accountPrefix):
			// Nothing is kept of people, nodes and the like.
		default:
			c.rest = append(c.rest, i)
		}
	}
	return c
}

// count counts an event that says nothing new of its token, and returns by how
// many ids its set grew. It reports false where the event's client is new.
func (n *note) count(ev *auditlog.Event, at int64, limit int) (grown int, ok bool) {
	tok := n.token
	id := hashID(ev.AuditID)
	tok.mu.Lock()
	defer tok.mu.Unlock()
	if ev.Client == nil || ev.Client != n.client {
		if !tok.knows(ev) {
			return 0, false
		}
		n.client = ev.Client
	}
	tok.first, tok.last = min(tok.first, at), max(tok.last, at)
	if tok.issued != 0 {
		return 0, true // only marked requests are counted then
	}
	return tok.ids.insert(id, limit), true
}

// knows tells whether the event's client was noted before.
func (tok *token) knows(ev *auditlog.Event) bool {
	for i := range tok.clients {
		if c := &tok.clients[i]; c.UserAgent == string(ev.UserAgent) && c.SourceIP == string(ev.SourceIP) {
			return true
		}
	}
	return false
}

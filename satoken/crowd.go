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
	fresh, marked  int   // by how many ids the sets of fresh and marked tokens grew
	rest           []int // the events that are not counted yet
	near           int   // what was looked at only so that it is near
}

// share counts the events of tokens that are known. t.mu is held for reading.
func (t *Tally) share(events []auditlog.Event) crowd {
	c := crowd{newest: math.MinInt64, oldest: math.MaxInt64}
	c.look(events)
	from, until := t.o.bounds()
	for i := range events {
		ev := &events[i]
		at := ev.Time.UnixNano() // of the years that an event may be of
		if at < from {
			c.early++
			continue
		}
		if at > until {
			c.late++
			continue
		}
		c.newest, c.oldest = max(c.newest, at), min(c.oldest, at)
		n := noteOf(ev.Sender)
		switch {
		case len(ev.Issued) > 0:
			c.rest = append(c.rest, i)
		case n != nil && n.tally == t && n.token != nil:
			if !c.count(n, ev, at, &t.budget) {
				c.rest = append(c.rest, i)
			}
		case len(ev.Mark) == 0 && ev.Code != 401 && !bytes.HasPrefix(ev.Username, accountPrefix):
			// Nothing is kept of people, nodes and the like.
			if ev.Sender != nil {
				ev.Sender.Fold(noID)
			}
		default:
			c.rest = append(c.rest, i)
		}
	}
	return c
}

// noteOf returns what was noted of a sender, or nil.
func noteOf(s *auditlog.Sender) (n *note) {
	if s != nil {
		n, _ = s.Note.(*note)
	}
	return n
}

// look looks at the notes and at the tokens of events. They are far away in memory,
// and when they are needed one event would wait for the other's.
func (c *crowd) look(events []auditlog.Event) {
	for i := range events {
		if n := noteOf(events[i].Sender); n != nil && n.token != nil {
			c.near += len(n.token.account)
		}
	}
}

// count counts an event that says nothing new of its token. It reports false where
// the event's client is new, or its mark the first of the token.
func (c *crowd) count(n *note, ev *auditlog.Event, at int64, b *budget) bool {
	tok := n.token
	id := auditlog.HashID(ev.AuditID)
	var mark auditlog.Mark
	marked := len(ev.Mark) > 0
	if marked {
		if mark, marked = auditlog.ParseMark(ev.Mark); !marked {
			return false
		}
	}
	tok.mu.Lock()
	defer tok.mu.Unlock()
	if marked && tok.issued == 0 {
		return false
	}
	if ev.Client == nil || ev.Client != n.client {
		if !tok.knows(ev) {
			return false
		}
		n.client = ev.Client
	}
	tok.first, tok.last = min(tok.first, at), max(tok.last, at)
	switch {
	case marked:
		tok.issued = min(tok.issued, issuedAt(at, mark))
		c.marked += tok.ids.insert(id, b.marked.each)
	case tok.issued == 0: // only marked requests are counted otherwise
		c.fresh += tok.ids.insert(id, b.fresh.each)
	}
	tok.fold(ev.Sender)
	return true
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

package auditlog

import (
	"bytes"
	"math/bits"
	"time"
)

// Most of what a client asks it asks again and again, and then two events differ
// only in their ids and their times. An event that is otherwise the same as an
// earlier one, byte for byte, is not read but known: the texts around the id and
// the times are compared by their hashes, under the key of the scan's senders.

// again is an event that was read, without its id and its times. It is as long as
// the lines of a processor's cache, for there are too many for the nearest ones.
type again struct {
	// The hashes of its text: from the id to near its end; from there to the times,
	// and behind them.
	head, rest uint64

	sender *Sender
	client *Client
	folded

	size      uint16 // the length of the line, 0 while the event was met only once
	id, times uint16 // where its id and its times begin
	user      uint16 // and its user, with the client behind it
	stage     uint16 // how long the name of its stage is
	code      int16
	used      bool // since it was last in the way of another one
	_         [3]byte
}

const (
	// agains is how many are kept, a power of two. An event may be in either place of
	// two.
	agains   = 1 << 15
	maxAgain = 16 << 10

	staged = `"` + keyStaged
	// endSize is how much of a line's end is left out of its first hash, since the
	// times are in it. To look for them would take as long as that hash.
	endSize  = 512
	minAgain = len(quickStart) + uuidLen + endSize + 64
)

// fast reads an event of the shape in which the API server writes it, and that
// takes up the whole line, and leaves it out where fold says so. It reports false for
// any other.
func (d *decoder) fast(line []byte, p parts, fold *Fold) bool {
	if p.id == 0 {
		return d.quick(line, d.next()) || d.drop()
	}
	places := d.pair(p)
	k := places.find(p)
	if k != nil {
		if at, ok := d.same(line, k, p); ok {
			k.used = true
			d.habit.note(true)
			if !d.leave(fold, k, line[p.id:p.id+uuidLen], at) {
				k.tell(line, at, d.next())
			}
			return true
		}
	}
	ev := d.next()
	switch {
	case !d.quick(line, ev):
		return d.drop()
	case k != nil:
		d.habit.note(k.size == 0) // it will be known the next time
		d.keep(line, k, p, ev)
	default:
		d.habit.note(false)
		if k = places.room(); k != nil {
			d.tellFolded(k, k.at)
			*k = again{head: p.head}
		}
	}
	return true
}

// next returns the place of the next event.
func (d *decoder) next() *Event {
	d.events = append(d.events, Event{})
	return &d.events[len(d.events)-1]
}

// drop gives the last event's place back, and reports false.
func (d *decoder) drop() bool {
	d.events = d.events[:len(d.events)-1]
	return false
}

// habit tells whether it pays to look for events that were read before: looking
// in vain costs as much as it saves otherwise. Where less than half are known, it
// waits, each time longer, before it looks again.
type habit struct {
	tries, hits, pause, wait int
}

func (h *habit) note(hit bool) {
	if hit {
		h.hits++
	}
	if h.tries++; h.tries < agains {
		return
	}
	if 2*h.hits >= h.tries {
		h.wait = 0
	} else {
		h.wait = min(max(2*h.wait, 4*agains), 64*agains)
	}
	h.tries, h.hits, h.pause = 0, 0, h.wait
}

// parts are where a line's id begins, 0 for a line that is not to be looked for,
// the hash of its first part behind that, and where the line ends in its text.
type parts struct {
	head uint64
	id   int
	end  int
}

// parts takes a line apart.
func (d *decoder) parts(line []byte) parts {
	if d.habit.pause > 0 {
		d.habit.pause--
		return parts{}
	}
	if d.strict || len(line) < minAgain || len(line) > maxAgain {
		return parts{}
	}
	c := cursor{b: line}
	if !c.take(quickStart) {
		if !c.take(keyStart) {
			return parts{}
		}
		if _, ok := c.until(); !ok || !c.take(keyAuditID) {
			return parts{}
		}
	}
	if len(line)-c.i < minAgain-len(quickStart) {
		return parts{}
	}
	if d.agains == nil {
		d.agains = new([agains / 2]pair)
	}
	return parts{head: d.known.sum(line[c.i+uuidLen : len(line)-endSize]), id: c.i}
}

// stretch is about how much text is taken apart before its lines are read: enough
// for what many of them need from memory to come at once, and little enough to be
// near when they are read.
const stretch = 32 << 10

// look takes the lines of a stretch of text apart, and looks at the events that may
// be the same. What these hold is far away in memory; here no line waits for what
// the one before it finds, as it would later on.
func (d *decoder) look(text []byte, from int) []parts {
	d.looked = d.looked[:0]
	for at := from; at < len(text) && at-from < stretch; {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i
		}
		p := d.parts(trimEnd(text[at:end])) // while the line is in the nearest cache
		p.end = end
		d.looked = append(d.looked, p)
		at = end + 1
	}
	for _, p := range d.looked {
		if p.id != 0 {
			d.near += uint64(d.pair(p)[0].size)
		}
	}
	for _, p := range d.looked {
		if p.id == 0 {
			continue
		}
		if k := d.pair(p).find(p); k != nil && k.sender != nil {
			d.near += uint64(k.sender.user.size)
		}
	}
	return d.looked
}

// pair are the two places for events with the same end of their hashes.
type pair [2]again

func (d *decoder) pair(p parts) *pair { return &d.agains[p.head%uint64(len(d.agains))] }

// find returns the event with the line's hash, or nil.
func (two *pair) find(p parts) *again {
	switch p.head {
	case two[0].head:
		return &two[0]
	case two[1].head:
		return &two[1]
	}
	return nil
}

// room returns the place for a new event, or nil where both are in use.
func (two *pair) room() *again {
	for i := range two {
		if two[i].head == 0 {
			return &two[i]
		}
	}
	for i := range two {
		if two[i].size == 0 {
			return &two[i]
		}
	}
	for i := range two {
		if !two[i].used {
			return &two[i]
		}
		two[i].used = false
	}
	return nil
}

// same tells whether all of the line but the id and the times was read before, and
// returns the time of its event, in nanoseconds since 1970.
func (d *decoder) same(line []byte, k *again, p parts) (int64, bool) {
	if int(k.size) != len(line) || int(k.id) != p.id {
		return 0, false
	}
	at := int(k.times) + len(keyTime)
	second := at + microTime + len(staged)
	if string(line[at+microTime:second]) != staged || d.rest(line, at, second+microTime) != k.rest ||
		!plain(line[second:second+microTime]) || !plain(line[p.id:p.id+uuidLen]) {
		return 0, false
	}
	return d.clock.nanos(line[at : at+microTime])
}

// rest is the hash of a line's end without its times, which stand between.
func (d *decoder) rest(line []byte, from, to int) uint64 {
	return d.known.sum(line[len(line)-endSize:from]) ^ bits.RotateLeft64(d.known.sum(line[to:]), 1)
}

// tell fills in the event of a line that is the same.
func (k *again) tell(line []byte, at int64, ev *Event) {
	id, user := int(k.id), line[k.user:]
	stage := id + uuidLen + len(keyStage)
	ev.Time = time.Unix(0, at).UTC()
	ev.AuditID, ev.Stage, ev.Code = line[id:id+uuidLen], line[stage:stage+int(k.stage)], int(k.code)
	k.sender.tell(user, ev)
	k.client.tell(user[k.sender.user.size:], ev)
}

// keep notes the event of a line at its place, when it comes for the second time.
func (d *decoder) keep(line []byte, k *again, p parts, ev *Event) {
	at := d.times + len(keyTime)
	second := at + microTime + len(staged)
	if d.times < len(line)-endSize || second+microTime >= len(line) || string(line[at+microTime:second]) != staged || line[second+microTime] != '"' ||
		len(ev.AuditID) != uuidLen || ev.Mark != nil || ev.Issued != nil || ev.Sender == nil || ev.Client == nil {
		return
	}
	d.tellFolded(k, k.at)
	*k = again{
		head: p.head, rest: d.rest(line, at, second+microTime), sender: ev.Sender, client: ev.Client, folded: folded{at: ev.Time.UnixNano()},
		size: uint16(len(line)), id: uint16(p.id), times: uint16(d.times), user: uint16(d.user), stage: uint16(len(ev.Stage)), code: int16(ev.Code),
	}
}

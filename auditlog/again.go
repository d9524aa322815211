package auditlog

// Most of what a client asks it asks again and again, and then two events differ
// only in their ids and their times. An event that is otherwise the same as an
// earlier one, byte for byte, is not read but known: the texts around the id and
// the times are compared by their hashes, under the key of the scan's senders.

// again is an event that was read, without its id and its times.
type again struct {
	// The hashes of its text: from the id to near its end, from there to the times,
	// and behind them.
	head, middle, tail uint64

	size      uint16 // the length of the line, 0 while the event was met only once
	id, times uint16 // where its id and its times begin
	code      int16
	sender    *Sender
	client    *Client

	stage, name, credential, podName, podUID, nodeName, ip, agent span
}

const (
	agains   = 1 << 13 // how many are kept, a power of two
	maxAgain = 16 << 10

	staged = `"` + keyStaged
	// endSize is how much of a line's end is left out of its first hash, since the
	// times are in it. To look for them would take as long as that hash.
	endSize  = 512
	minAgain = len(quickStart) + uuidLen + endSize + 64
)

// fast reads an event of the shape in which the API server writes it, and that
// takes up the whole line. It reports false for any other.
func (d *decoder) fast(line []byte, ev *Event) bool {
	if d.habit.pause > 0 {
		d.habit.pause--
		return d.quick(line, ev)
	}
	k, p := d.seen(line)
	same := k != nil && d.same(line, k, p, ev)
	d.habit.note(same)
	if same {
		return true
	}
	if !d.quick(line, ev) {
		return false
	}
	if k != nil {
		d.keep(line, k, p, ev)
	}
	return true
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

// parts are where a line's id begins, and the hash of its first part behind that.
type parts struct {
	head uint64
	id   int
}

// seen takes a line apart, and returns the place of the events that have its hash.
// It returns nil where the line is none of those that are kept.
func (d *decoder) seen(line []byte) (*again, parts) {
	if len(line) < minAgain || len(line) > maxAgain {
		return nil, parts{}
	}
	c := cursor{b: line}
	if !c.take(quickStart) {
		if !c.take(keyStart) {
			return nil, parts{}
		}
		if _, ok := c.until(); !ok || !c.take(keyAuditID) {
			return nil, parts{}
		}
	}
	p := parts{id: c.i}
	if len(line)-p.id < minAgain-len(quickStart) {
		return nil, parts{}
	}
	if d.agains == nil {
		d.agains = new([agains]again)
	}
	p.head = d.known.sum(line[p.id+uuidLen : len(line)-endSize])
	return &d.agains[p.head%agains], p
}

// same reads the line's event if all of it but the id and the times was read
// before.
func (d *decoder) same(line []byte, k *again, p parts, ev *Event) (ok bool) {
	if k.head != p.head || int(k.size) != len(line) || int(k.id) != p.id {
		return false
	}
	at := int(k.times) + len(keyTime)
	second := at + microTime + len(staged)
	id := line[p.id : p.id+uuidLen]
	if d.known.sum(line[len(line)-endSize:at]) != k.middle || d.known.sum(line[second+microTime:]) != k.tail ||
		string(line[at+microTime:second]) != staged || !plain(line[second:second+microTime]) || !plain(id) {
		return false
	}
	if ev.Time, ok = d.clock.parse(line[at : at+microTime]); !ok {
		return false
	}
	ev.AuditID, ev.Stage, ev.Code = id, k.stage.of(line), int(k.code)
	ev.Username, ev.CredentialID = k.name.of(line), k.credential.of(line)
	ev.PodName, ev.PodUID, ev.NodeName = k.podName.of(line), k.podUID.of(line), k.nodeName.of(line)
	ev.SourceIP, ev.UserAgent = k.ip.of(line), k.agent.of(line)
	ev.Sender, ev.Client = k.sender, k.client
	return true
}

// keep notes the event of a line at its place, when it comes for the second time.
func (d *decoder) keep(line []byte, k *again, p parts, ev *Event) {
	if k.head != p.head {
		k.head, k.size = p.head, 0
		return
	}
	at := d.times + len(keyTime)
	second := at + microTime + len(staged)
	if d.times < len(line)-endSize || second+microTime >= len(line) || string(line[at+microTime:second]) != staged || line[second+microTime] != '"' ||
		len(ev.AuditID) != uuidLen || ev.Mark != nil || ev.Issued != nil || ev.Sender == nil || ev.Client == nil {
		return
	}
	*k = again{
		head: p.head, middle: d.known.sum(line[len(line)-endSize : at]), tail: d.known.sum(line[second+microTime:]),
		size: uint16(len(line)), id: uint16(p.id), times: uint16(d.times), code: int16(ev.Code), sender: ev.Sender, client: ev.Client,
		stage: spanOf(line, ev.Stage), name: spanOf(line, ev.Username), credential: spanOf(line, ev.CredentialID),
		podName: spanOf(line, ev.PodName), podUID: spanOf(line, ev.PodUID), nodeName: spanOf(line, ev.NodeName),
		ip: spanOf(line, ev.SourceIP), agent: spanOf(line, ev.UserAgent),
	}
}

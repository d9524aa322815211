package auditlog

// Most of what a client asks it asks again and again, and then two events differ
// only in their ids and their times. An event that is otherwise the same as an
// earlier one, byte for byte, is not read but known: the texts around the id and
// the times are compared by their hashes, under the key of the scan's senders.

// again is an event that was read, without its id and its times.
type again struct {
	// The hashes of its text, between the id and the times and behind them.
	head, tail uint64
	size       uint16 // the length of the line, 0 while the event was met only once
	times      uint16 // where its times begin
	code       int16
	sender     *Sender
	client     *Client

	stage, name, id, podName, podUID, nodeName, ip, agent span
}

const (
	agains   = 1 << 13 // how many are kept, a power of two
	maxAgain = 16 << 10

	idEnd     = len(quickStart) + uuidLen
	staged    = `"` + keyStaged
	timesSize = len(keyTime) + microTime + len(staged) + microTime
	minAgain  = idEnd + timesSize + 64
	// tails is a power of two, about as many as there are usual lengths of lines.
	tails = 1 << 11
)

// fast reads an event of the shape in which the API server writes it, and that
// takes up the whole line. It reports false for any other.
func (d *decoder) fast(line []byte, ev *Event) bool {
	k, head, times := d.seen(line)
	if k != nil && d.same(line, k, head, times, ev) {
		return true
	}
	if !d.quick(line, ev) {
		return false
	}
	if k != nil {
		d.keep(line, k, head, times, ev)
	}
	return true
}

// seen returns where the times of a line begin, the hash of what is before them,
// and the place of the events that have this hash. It returns nil where the line
// is none of those that are kept.
func (d *decoder) seen(line []byte) (k *again, head uint64, times int) {
	if len(line) < minAgain || len(line) > maxAgain || string(line[:len(quickStart)]) != quickStart {
		return nil, 0, 0
	}
	if d.agains == nil {
		d.agains, d.tails = new([agains]again), new([tails]uint16)
	}
	// Lines of one length mostly end alike.
	tail := &d.tails[len(line)%tails]
	times = len(line) - int(*tail)
	if times < idEnd || times+timesSize >= len(line) || string(line[times:times+len(keyTime)]) != keyTime {
		if times = lastTime(line); times < idEnd || times+timesSize >= len(line) {
			return nil, 0, 0
		}
		*tail = uint16(len(line) - times)
	}
	head = d.known.sum(line[idEnd:times])
	return &d.agains[head%agains], head, times
}

// same reads the line's event if all of it but the id and the times was read
// before.
func (d *decoder) same(line []byte, k *again, head uint64, times int, ev *Event) (ok bool) {
	if k.head != head || int(k.size) != len(line) || int(k.times) != times {
		return false
	}
	at := times + len(keyTime)
	second := at + microTime + len(staged)
	id := line[len(quickStart):idEnd]
	if d.known.sum(line[second+microTime:]) != k.tail ||
		string(line[at+microTime:second]) != staged || !plain(line[second:second+microTime]) || !plain(id) {
		return false
	}
	if ev.Time, ok = d.clock.parse(line[at : at+microTime]); !ok {
		return false
	}
	ev.AuditID, ev.Stage, ev.Code = id, k.stage.of(line), int(k.code)
	ev.Username, ev.CredentialID = k.name.of(line), k.id.of(line)
	ev.PodName, ev.PodUID, ev.NodeName = k.podName.of(line), k.podUID.of(line), k.nodeName.of(line)
	ev.SourceIP, ev.UserAgent = k.ip.of(line), k.agent.of(line)
	ev.Sender, ev.Client = k.sender, k.client
	return true
}

// keep notes the event of a line at its place, when it comes for the second time.
func (d *decoder) keep(line []byte, k *again, head uint64, times int, ev *Event) {
	if k.head != head {
		k.head, k.size = head, 0
		return
	}
	at := times + len(keyTime)
	second := at + microTime + len(staged)
	if times != d.times || string(line[at+microTime:second]) != staged || line[second+microTime] != '"' ||
		len(ev.AuditID) != uuidLen || ev.Mark != nil || ev.Issued != nil || ev.Sender == nil || ev.Client == nil {
		return
	}
	*k = again{
		head: head, tail: d.known.sum(line[second+microTime:]),
		size: uint16(len(line)), times: uint16(times), code: int16(ev.Code), sender: ev.Sender, client: ev.Client,
		stage: spanOf(line, ev.Stage), name: spanOf(line, ev.Username), id: spanOf(line, ev.CredentialID),
		podName: spanOf(line, ev.PodName), podUID: spanOf(line, ev.PodUID), nodeName: spanOf(line, ev.NodeName),
		ip: spanOf(line, ev.SourceIP), agent: spanOf(line, ev.UserAgent),
	}
}

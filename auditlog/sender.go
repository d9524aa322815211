package auditlog

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

// Sender is who made a request: the event's user, read once and shared by all
// events in which it stands byte for byte the same. Not the bytes are kept but
// their hash of 64 bits, under a key that is drawn anew for each scan, and where
// in them the fields stand.
type Sender struct {
	// Note is for the sink, which may keep there what it found about the sender.
	// Several goroutines share it: the sink guards it.
	Note any

	key                       uint32
	fold                      atomic.Uint32 // what Fold was told, plus 1
	user                      known
	name, uid, id             span
	podName, podUID, nodeName span

	// What stood around the user lately: from where requests came, and how an
	// event without an annotation of interest ended.
	last            atomic.Pointer[Client]
	ending          atomic.Pointer[known]
	misses, differs atomic.Uint32
}

// tell fills in what an event's user says. The text begins with the user.
func (s *Sender) tell(text []byte, ev *Event) {
	ev.Sender = s
	ev.Username, ev.UserUID, ev.CredentialID = s.name.of(text), s.uid.of(text), s.id.of(text)
	ev.PodName, ev.PodUID, ev.NodeName = s.podName.of(text), s.podUID.of(text), s.nodeName.of(text)
}

// Client is from where a sender made requests, shared by the events in which it
// stands byte for byte the same.
type Client struct {
	list      known // the addresses and the user agent
	ip, agent span
}

// tell fills in from where an event came. The text begins with the addresses.
func (c *Client) tell(text []byte, ev *Event) {
	ev.SourceIP, ev.UserAgent, ev.Client = c.ip.of(text), c.agent.of(text), c
}

// known is a text that was read before.
type known struct {
	size int
	sum  uint64
}

func (s *senders) known(text []byte) known { return known{len(text), s.sum(text)} }

// sum hashes a text in one go. maphash.Bytes, which must come to the same as a hash
// that is written to piece by piece, takes 128 bytes at a time and three times as long.
func (s *senders) sum(text []byte) uint64 {
	return maphash.Comparable(s.seed, unsafe.String(unsafe.SliceData(text), len(text)))
}

// next tells whether the text begins with the known one.
func (s *senders) next(text []byte, k *known) bool {
	return len(text) >= k.size && s.sum(text[:k.size]) == k.sum
}

// span is where a field stands in a text.
type span struct{ from, to uint16 }

func spanOf(text, field []byte) span {
	if field == nil {
		return span{}
	}
	// Both end where the same memory does.
	from := cap(text) - cap(field)
	return span{uint16(from), uint16(from + len(field))}
}

func (s span) of(text []byte) []byte {
	if s.to == 0 {
		return nil
	}
	return text[s.from:s.to]
}

// senders is a table of the senders that were met. Slots are read and written
// without a lock: losing a race costs reading a user twice.
type senders struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]atomic.Pointer[Sender]] // a power of two of them
	held  atomic.Int64
}

const (
	fewSlots    = 1 << 9
	senderSlots = 1 << 15
	senderTries = 4
	// maxSenders bounds how many are kept, maxKept the bytes of a text.
	maxSenders = senderSlots / 2
	maxKept    = 4 << 10
)

func newSenders() *senders {
	k := &senders{seed: maphash.MakeSeed()}
	k.clear(fewSlots)
	return k
}

// clear begins with an empty table.
func (k *senders) clear(slots int) {
	table := make([]atomic.Pointer[Sender], slots)
	k.slots.Store(&table)
	k.held.Store(0)
}

// sender reads the user at the cursor, up to and over its bracket.
func (d *decoder) sender(c *cursor, ev *Event) bool {
	d.user = c.i
	rest := c.b[c.i:]
	key := hashUser(rest)
	slots := *d.known.slots.Load()
	for i := range uint32(senderTries) {
		s := slots[(key+i)%uint32(len(slots))].Load()
		if s == nil {
			break
		}
		if s.key == key && d.known.next(rest, &s.user) {
			c.i += s.user.size
			s.tell(rest, ev)
			return true
		}
	}
	from := c.i
	if !c.user(ev) {
		return false
	}
	if text := c.b[from:c.i]; len(text) <= maxKept {
		ev.Sender = d.known.add(&Sender{
			key: key, user: d.known.known(text), name: spanOf(rest, ev.Username), uid: spanOf(rest, ev.UserUID), id: spanOf(rest, ev.CredentialID),
			podName: spanOf(rest, ev.PodName), podUID: spanOf(rest, ev.PodUID), nodeName: spanOf(rest, ev.NodeName),
		})
	}
	return true
}

// add keeps a sender, in the place of another one if need be. A table that is
// half full is replaced by an empty one, a larger one as long as there is.
func (k *senders) add(s *Sender) *Sender {
	slots := *k.slots.Load()
	if int(k.held.Add(1)) > len(slots)/2 {
		k.clear(min(8*len(slots), senderSlots))
		slots = *k.slots.Load()
		k.held.Add(1)
	}
	n := uint32(len(slots))
	for i := range uint32(senderTries) {
		if slots[(s.key+i)%n].CompareAndSwap(nil, s) {
			return s
		}
	}
	if old := slots[(s.key+s.key>>16%senderTries)%n].Swap(s); old != nil {
		k.held.Add(-1)
	}
	return s
}

// beforeID is what stands between a service account's name and its token's id,
// without the name of the namespace, which stands there once more.
const beforeID = `","uid":"00000000-0000-0000-0000-000000000000","groups":["system:serviceaccounts","system:serviceaccounts:","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=`

// hashUser hashes the beginning of a user's object by its name, and by what
// stands where the id of a service account's token usually does.
func hashUser(b []byte) uint32 {
	if len(b) < 64 {
		return uint32(len(b))
	}
	name := b[len(keyName):]
	n := bytes.IndexByte(name[:min(len(name), 400)], '"')
	if n < 0 {
		return 0
	}
	h := uint64(n)
	for k := name[:n]; ; k = k[8:] {
		if len(k) < 8 {
			if n >= 8 {
				h = spread(h ^ binary.LittleEndian.Uint64(name[n-8:]))
			}
			break
		}
		h = spread(h ^ binary.LittleEndian.Uint64(k))
	}
	if namespace := n - len(accountPrefix); namespace > 0 && bytes.HasPrefix(name, accountPrefix) {
		if i := bytes.IndexByte(name[len(accountPrefix):n], ':'); i > 0 {
			if at := n + len(beforeID) + i; len(name) >= at+uuidLen {
				h = spread(h ^ binary.LittleEndian.Uint64(name[at:]))
				h = spread(h ^ binary.LittleEndian.Uint64(name[at+uuidLen-8:]))
			}
		}
	}
	return uint32(h >> 32)
}

// spread mixes bits; nothing that is kept depends on how.
func spread(h uint64) uint64 {
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

var accountPrefix = []byte("system:serviceaccount:")

// plain tells whether a text of at least eight bytes holds neither a quote nor
// a backslash, eight bytes at a time.
func plain(b []byte) bool {
	const ones, tops, quotes, slashes = 0x0101010101010101, 0x8080808080808080, '"' * 0x0101010101010101, '\\' * 0x0101010101010101
	var found uint64
	for i := 0; ; i += 8 {
		i = min(i, len(b)-8)
		x := binary.LittleEndian.Uint64(b[i:])
		q, s := x^quotes, x^slashes
		found |= (q-ones)&^q | (s-ones)&^s
		if i == len(b)-8 {
			return found&tops == 0
		}
	}
}

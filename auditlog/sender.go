package auditlog

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
)

// Sender is who made a request: the event's user, read once and shared by all
// events in which it stands byte for byte the same.
type Sender struct {
	// Note is for the sink, which may keep there what it found about the sender.
	// Several goroutines share it: the sink guards it.
	Note any

	text     []byte // the user's object, without its first bracket
	hash     uint32
	username []byte
	id       []byte
	podName  []byte
	podUID   []byte
	nodeName []byte

	// What stood around the user lately: from where requests came, and how an
	// event without an annotation of interest ended.
	last            atomic.Pointer[Client]
	ending          atomic.Pointer[string]
	misses, differs atomic.Uint32
}

// Client is from where a sender made requests, shared by the events in which it
// stands byte for byte the same.
type Client struct {
	text      string // the lists of addresses and the user agent
	ip, agent []byte
}

// keep makes an event's client the one that is looked for first.
func (s *Sender) keep(text string, ev *Event) {
	both := append(bytes.Clone(ev.SourceIP), ev.UserAgent...)
	n := len(ev.SourceIP)
	client := &Client{text, both[:n:n], both[n:]}
	s.last.Store(client)
	ev.Client = client
}

// senders is a table of the senders that were met. Slots are read and written
// without a lock: losing a race costs reading a user twice.
type senders struct {
	slots [senderSlots]atomic.Pointer[Sender]
	held  atomic.Int64 // bytes
}

const (
	senderSlots = 1 << 15
	senderTries = 4
	// maxSenders bounds the memory of all senders, maxSender that of one.
	maxSenders = 8 << 20
	maxSender  = 4 << 10
)

// sender reads the user at the cursor, up to and over its bracket.
func (d *decoder) sender(c *cursor, ev *Event) bool {
	rest := c.b[c.i:]
	hash := hashUser(rest)
	for i := range uint32(senderTries) {
		s := d.known.slots[(hash+i)%senderSlots].Load()
		if s == nil {
			break
		}
		if s.hash == hash && bytes.HasPrefix(rest, s.text) {
			c.i += len(s.text)
			s.give(ev)
			return true
		}
	}
	from := c.i
	if !c.user(ev) {
		return false
	}
	if text := c.b[from:c.i]; len(text) <= maxSender {
		d.known.add(newSender(text, hash)).give(ev)
	}
	return true
}

// newSender copies a user that can be read.
func newSender(text []byte, hash uint32) *Sender {
	var ev Event
	c := cursor{b: bytes.Clone(text)}
	c.user(&ev)
	return &Sender{text: c.b, hash: hash, username: ev.Username, id: ev.CredentialID, podName: ev.PodName, podUID: ev.PodUID, nodeName: ev.NodeName}
}

func (s *Sender) give(ev *Event) {
	ev.Sender = s
	ev.Username, ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = s.username, s.id, s.podName, s.podUID, s.nodeName
}

// add keeps a sender, in the place of another one if need be.
func (k *senders) add(s *Sender) *Sender {
	size := int64(len(s.text)) + 256
	if k.held.Add(size) > maxSenders {
		for i := range k.slots {
			k.slots[i].Store(nil)
		}
		k.held.Store(size)
	}
	for i := range uint32(senderTries) {
		if slot := &k.slots[(s.hash+i)%senderSlots]; slot.CompareAndSwap(nil, s) {
			return s
		}
	}
	slot := &k.slots[(s.hash+s.hash>>16%senderTries)%senderSlots]
	if old := slot.Swap(s); old != nil {
		k.held.Add(-int64(len(old.text)) - 256)
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

package auditlog

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// What a client does over and over tells a sink hardly more than when it was last
// done. A sink that says so is not handed such events, but what is left of them.

// Fold says which events need not be handed on: those that were met before, but for
// the id and the times, and of whose Sender the sink said so.
type Fold struct {
	// From and Until bound the times of such events, in nanoseconds since 1970.
	From, Until int64
	// Used is called with what is left of them, from several goroutines at once, and
	// for the last time before Scan returns.
	Used func([]Use)
}

func (f *Fold) covers(at int64) bool { return at >= f.From && at <= f.Until }

// Use is what is left of events of a sender.
type Use struct {
	Sender *Sender
	// First and Last are times of two of them, in nanoseconds since 1970, and all
	// others were between.
	First, Last int64
	// ID is the HashID of the only one, or 0.
	ID uint64
}

// Fold lets events of the sender be left out. Of their ids those count whose HashID
// begins with so many bits of 0: all with 0 bits, none with 64. A 401 is never left
// out, and of each kind of event one is handed on at least every foldLag of the log's
// time.
func (s *Sender) Fold(bits uint8) {
	if b := uint32(bits) + 1; s.fold.Load() != b {
		s.fold.Store(b)
	}
}

// foldLag is how much of the log's time the sink may be behind.
const foldLag = int64(5 * time.Minute)

// folded is from when to when events were left out that are otherwise the same.
type folded struct {
	at            int64  // when the last one was that the sink knows of
	before, after uint32 // by how many microseconds others were earlier and later
}

// leave tells whether an event that is the same as others is left out, and keeps what
// is to be left of it if so.
func (d *decoder) leave(fold *Fold, k *again, id []byte, at int64) bool {
	if fold == nil || k.code == 401 || !fold.covers(at) {
		return false
	}
	zeros := k.sender.fold.Load()
	after := at - k.at
	if zeros == 0 || after > foldLag || after < -foldLag || !fold.covers(k.at) {
		d.tellFolded(k, at)
		return false
	}
	d.left++
	d.first, d.last = min(d.first, at), max(d.last, at)
	switch h := max(HashID(id), 1); {
	case h>>(65-zeros) == 0:
		d.tellFolded(k, at)
		d.uses = append(d.uses, Use{k.sender, at, at, h})
	case after >= 0:
		k.after = max(k.after, uint32(after/1000))
	default:
		k.before = max(k.before, uint32(-after/1000))
	}
	return true
}

// tellFolded notes, for the sink, when events were left out, unless that follows from
// the time that it is told next.
func (d *decoder) tellFolded(k *again, next int64) {
	if from, to := k.at-int64(k.before)*1000, k.at+int64(k.after)*1000; from < k.at || to > max(k.at, next) {
		d.uses = append(d.uses, Use{k.sender, from, to, 0})
	}
	k.folded = folded{at: next}
}

// tellAll hands on what is left of all events.
func (d *decoder) tellAll() {
	if d.fold == nil || d.agains == nil {
		return
	}
	for i := range d.agains {
		for j := range d.agains[i] {
			k := &d.agains[i][j]
			d.tellFolded(k, k.at)
		}
		d.tellUses(1 << 10)
	}
	d.tellUses(1)
	d.agains = nil
}

// tellUses hands on what was noted, if it is that many.
func (d *decoder) tellUses(many int) {
	if len(d.uses) >= many {
		d.fold.Used(d.uses)
		d.uses = d.uses[:0]
	}
}

// HashID spreads an audit id over 64 bits, the same in every run.
func HashID(id []byte) uint64 {
	const a, b, c, d = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db
	h := uint64(len(id)) * a
	if len(id) == uuidLen {
		// Nearly all are UUIDs: their parts need not wait for one another.
		h ^= mix(word(id)^a, word(id[8:])^b) ^ mix(word(id[16:])^c, word(id[24:])^d) ^ word(id[28:])*b
		return mix(h^b, a)
	}
	for ; len(id) > 8; id = id[8:] {
		h = mix(h^word(id), b)
	}
	var last [8]byte
	copy(last[:], id)
	return mix(mix(h^word(last[:])^a, b)^b, a)
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func mix(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

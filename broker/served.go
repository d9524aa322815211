package broker

import (
	"encoding/binary"
	"os"
	"time"
)

// The list of who was served lies beside an entry, in a file of slots with a
// fixed place each. It is written without a lock: one slot in one write. A slot
// that two wrote at once has a wrong sum and counts as empty. The list cannot
// grow; where it is full the oldest of the slots that a process may use gives
// way, and what is lost is the memory of one process that may have been refused.

// process is a running process. start is in the system's own units; 0 where the
// system does not tell, and then the process id alone has to do.
type process struct {
	pid   int
	start uint64
}

// serving says that a process was given a credential.
type serving struct {
	who process
	id  uint64    // of the credential
	at  time.Time // when
	// crowd is when questions of this process last overlapped: it is then one
	// that asks several times at once, and not one that was refused.
	crowd time.Time
}

const (
	slotSize  = 48
	slotCount = 84 // 4032 bytes, so one page
	slotProbe = 8  // slots in which one process may be
)

func slotIndex(p process, i int) int {
	h := uint64(p.pid)*0x9e3779b97f4a7c15 ^ p.start*0xc2b2ae3d27d4eb4f
	return int((h>>32 + uint64(i)) % slotCount)
}

func (s serving) encode() (b [slotSize]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(s.who.pid))
	binary.LittleEndian.PutUint64(b[8:], s.who.start)
	binary.LittleEndian.PutUint64(b[16:], s.id)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.at.UnixNano()))
	if !s.crowd.IsZero() {
		binary.LittleEndian.PutUint64(b[32:], uint64(s.crowd.UnixNano()))
	}
	binary.LittleEndian.PutUint32(b[40:], slotSum(b[:40]))
	return b
}

// slotSum tells a whole slot from a torn one, and from one of zeros.
// It is FNV-1a, as hash/fnv has it behind an interface.
func slotSum(b []byte) uint32 {
	sum := uint32(2166136261)
	for _, c := range b {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return sum
}

func decodeServing(b []byte) (serving, bool) {
	if len(b) < slotSize || binary.LittleEndian.Uint32(b[40:]) != slotSum(b[:40]) {
		return serving{}, false
	}
	s := serving{
		who: process{int(binary.LittleEndian.Uint64(b[0:])), binary.LittleEndian.Uint64(b[8:])},
		id:  binary.LittleEndian.Uint64(b[16:]),
		at:  time.Unix(0, int64(binary.LittleEndian.Uint64(b[24:]))),
	}
	if n := int64(binary.LittleEndian.Uint64(b[32:])); n > 0 {
		s.crowd = time.Unix(0, n)
	}
	return s, true
}

// slots are those of a list in which one process may be, in the order in which it
// looks for itself.
type slots [slotProbe * slotSize]byte

func (s *slots) at(i int) []byte { return s[i*slotSize : (i+1)*slotSize] }

// find looks a process up.
func (s *slots) find(p process) (serving, bool) {
	for i := range slotProbe {
		if got, ok := decodeServing(s.at(i)); ok && got.who == p {
			return got, true
		}
	}
	return serving{}, false
}

// place returns which of the slots a process is to be written to: its own, an
// empty one, or the oldest.
func (s *slots) place(p process) int {
	best, oldest := -1, time.Time{}
	for i := range slotProbe {
		got, ok := decodeServing(s.at(i))
		switch {
		case ok && got.who == p:
			return i
		case !ok:
			if best < 0 || !oldest.IsZero() {
				best, oldest = i, time.Time{}
			}
		case best < 0 || !oldest.IsZero() && got.at.Before(oldest):
			best, oldest = i, got.at
		}
	}
	return best
}

// servedList is the open list of one key, with the slots of one process.
type servedList struct {
	file  plain
	slots slots
}

// openServed reads a process's slots of the list of a key, and makes the list where
// there is none. It is nil where that cannot be done: then nobody is remembered.
func (s *store) openServed(key string, p process) *servedList {
	if s == nil {
		return nil
	}
	f, err := openPlain(s.path(key, servedSuffix), os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil
	}
	l := &servedList{file: f}
	// What is not there stays zero, which is no slot. The last slots go on with
	// the first.
	first := slotIndex(p, 0)
	here := min(slotProbe, slotCount-first) * slotSize
	_, _ = f.ReadAt(l.slots[:here], int64(first*slotSize))
	if here < len(l.slots) {
		_, _ = f.ReadAt(l.slots[here:], 0)
	}
	return l
}

func (l *servedList) close() {
	if l != nil {
		l.file.close()
	}
}

func (l *servedList) find(p process) (serving, bool) {
	if l == nil {
		return serving{}, false
	}
	return l.slots.find(p)
}

// note remembers that a process was given a credential.
func (l *servedList) note(s serving) {
	if l != nil {
		slot := s.encode()
		_, _ = l.file.WriteAt(slot[:], int64(slotIndex(s.who, l.slots.place(s.who))*slotSize))
	}
}

package auditlog

import (
	"bytes"
	"encoding/binary"
)

// Looking for what matters first. A long text need not be looked for at every
// place: four bytes in every so many of a log tell whether one of several texts
// can be around them.

// hitTexts are what tells of a line that it may count: the mark's text, and the
// user of a request that was refused, which is empty or anonymous.
var hitTexts = [...]string{
	"seconds after warning threshold",
	`"user":{},"sourceIPs":["`,
	`":"system:anonymous","gr`,
}

const (
	gramSize = 4
	gramBits = 13
	// hitStep is how far apart four bytes may be looked at so that none of the
	// texts is missed: the shortest is 24 bytes long.
	hitStep = 24 - gramSize + 1
)

// grams tells of each hash of four bytes where they stand in the texts: the text
// times 32, and the place in it, from 1 on; 0 if they are of none.
var grams = func() (at [1 << gramBits]uint8) {
	for i, text := range hitTexts {
		for k := range len(text) - gramSize + 1 {
			if h := gram([]byte(text[k:])); at[h] == 0 {
				at[h] = uint8(i<<5 | k + 1)
			} else {
				at[h] = shared
			}
		}
	}
	return at
}()

// shared stands for four bytes that are of more than one text or place.
const shared = 0xff

func gram(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 0x9e3779b1 >> (32 - gramBits) }

// nextHit returns where one of the texts begins at or after from, or -1.
func nextHit(b []byte, from int) int {
	at := from + hitStep - 1
	for ; len(b)-at >= 3*hitStep+gramSize; at += 4 * hitStep {
		w := b[at : at+3*hitStep+gramSize]
		if grams[gram(w)]|grams[gram(w[hitStep:])]|grams[gram(w[2*hitStep:])]|grams[gram(w[3*hitStep:])] == 0 {
			continue
		}
		for i := range 4 {
			if start := hitAround(b, at+i*hitStep, from); start >= 0 {
				return start
			}
		}
	}
	for ; len(b)-at >= gramSize; at += hitStep {
		if start := hitAround(b, at, from); start >= 0 {
			return start
		}
	}
	return -1
}

// hitAround returns where the text begins that the four bytes are of, or -1.
func hitAround(b []byte, at, from int) int {
	switch g := grams[gram(b[at:])]; g {
	case 0:
	case shared:
		for _, text := range hitTexts {
			for k := range len(text) - gramSize + 1 {
				if start := at - k; start >= from && hasAt(b, start, text) {
					return start
				}
			}
		}
	default:
		if start := at - int(g&31) + 1; start >= from && hasAt(b, start, hitTexts[g>>5]) {
			return start
		}
	}
	return -1
}

func hasAt(b []byte, at int, text string) bool {
	return len(b)-at >= len(text) && string(b[at:at+len(text)]) == text
}

// nativeStart is how lines begin in which marks and refusals may be looked for
// first. Others are decoded one by one.
var nativeStart = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1"`)

// decodeHits decodes only the lines of a text that may hold a mark or a
// refusal, and tells whether it passed over others.
func (d *decoder) decodeHits(text []byte, bad func(from int, err error)) (skipped bool) {
	done := 0
	for {
		hit := nextHit(text, done)
		if hit < 0 {
			return skipped || done < len(text)
		}
		start := done + bytes.LastIndexByte(text[done:hit], '\n') + 1
		stop := len(text)
		if i := bytes.IndexByte(text[hit:], '\n'); i >= 0 {
			stop = hit + i
		}
		skipped = skipped || start > done
		if err := d.whole(text[start:stop]); err != nil {
			bad(start, err)
		}
		done = min(stop+1, len(text))
	}
}

var newline = []byte{'\n'}

// keepHits drops the events from index on that have no mark and were not refused
// for want of a user.
func keepHits(events []Event, from int) []Event {
	kept := events[:from]
	for _, e := range events[from:] {
		if len(e.Mark) > 0 || e.Code == 401 && (len(e.Username) == 0 || string(e.Username) == "system:anonymous") {
			kept = append(kept, e)
		}
	}
	return kept
}

// whole decodes a line, in the quickest way that fits.
func (d *decoder) whole(line []byte) error {
	if !d.strict {
		d.events = append(d.events, Event{})
		ev := &d.events[len(d.events)-1]
		if d.quick(trimEnd(line), ev) {
			return nil
		}
		d.events = d.events[:len(d.events)-1]
	}
	return d.line(line)
}

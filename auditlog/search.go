package auditlog

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Looking for what matters first. A long text need not be looked for at every
// place: eight bytes in every so many of a log tell whether one of several texts
// can be around them.

// hitTexts are what tells of a line that it may count: the mark's text, and the
// user of a request that was refused, which is empty or anonymous. An event that
// stands in its line as a string, escaped once or twice, is told by its beginning,
// and an entry of Cloud Logging by its type: they are decoded, whatever they say.
// Of each text rare is the place of eight bytes that few other lines have.
var hitTexts = [...]struct {
	text string
	rare int
}{
	{`seconds after warning threshold`, 8},
	{`","user":{},"sourceIPs":["`, 6},
	{`ystem:anonymous","groups":[`, 5},
	{`{\"kind\":\"Event\",\"apiVer`, 9},
	{`{\\\"kind\\\":\\\"Event\\\"`, 9},
	{`google.cloud.audit.AuditLog`, 19},
}

const (
	gramSize = 8
	// hitStep is how far apart the bytes may be looked at so that none of the
	// texts is missed: the shortest is 26 bytes long.
	hitStep = 26 - gramSize + 1
	// hitGroup is how many places are looked at together.
	hitGroup = 8
	// gramBits is how much of a hash tells of which text eight bytes may be: so
	// little that the table leaves room in the fastest cache for the log itself.
	gramBits = 13
)

// grams tells where in the texts the bytes stand: the text times 32, and the
// place in it, from 1 on; 0 if they are of none, as nearly all are. Of a longer
// text only as many places are needed as a step is long.
type grams [1 << gramBits]uint8

// shared stands for bytes that are of more than one text or place.
const shared = 0xff

var hitGrams, hitRares = func() (at grams, rares [len(hitTexts)]uint64) {
	for i, hit := range hitTexts {
		rares[i] = binary.LittleEndian.Uint64([]byte(hit.text[hit.rare:]))
		for k := range hitStep {
			if g := &at[gram([]byte(hit.text[k:]))]; *g == 0 {
				*g = uint8(i<<5 | k + 1)
			} else {
				*g = shared
			}
		}
	}
	return at, rares
}()

// gram hashes the first eight bytes.
func gram(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> (64 - gramBits)
}

// of returns the text and the place that the first eight bytes may be of, or 0.
func of(b []byte) uint64 { return uint64(hitGrams[gram(b)]) }

// nextHit returns where one of the texts begins at or after from, or -1.
func nextHit(b []byte, from int) int {
	at := from + hitStep - 1
	for ; len(b)-at >= (hitGroup-1)*hitStep+gramSize; at += hitGroup * hitStep {
		w := (*[(hitGroup-1)*hitStep + gramSize]byte)(b[at:])
		// One byte for each place, so that it is known at once which of them it was.
		found := of(w[:]) | of(w[hitStep:])<<8 | of(w[2*hitStep:])<<16 | of(w[3*hitStep:])<<24 |
			of(w[4*hitStep:])<<32 | of(w[5*hitStep:])<<40 | of(w[6*hitStep:])<<48 | of(w[7*hitStep:])<<56
		for found != 0 {
			i := bits.TrailingZeros64(found) / 8
			if start := hitAround(b, at+i*hitStep, from, uint8(found>>(8*i))); start >= 0 {
				return start
			}
			found &^= 0xff << (8 * i)
		}
	}
	for ; len(b)-at >= gramSize; at += hitStep {
		if start := hitAround(b, at, from, uint8(of(b[at:]))); start >= 0 {
			return start
		}
	}
	return -1
}

// hitAround returns where the text begins that the bytes at a place may be of, or
// -1 if they are not.
func hitAround(b []byte, at, from int, g uint8) int {
	switch g {
	case 0:
	case shared:
		for i := range hitTexts {
			for k := range hitStep {
				if start := at - k; start >= from && isHit(b, start, i) {
					return start
				}
			}
		}
	default:
		if start := at - int(g&31) + 1; start >= from && isHit(b, start, int(g>>5)) {
			return start
		}
	}
	return -1
}

// isHit tells whether the text stands at a place.
func isHit(b []byte, at, text int) bool {
	hit := &hitTexts[text]
	if len(b)-at < len(hit.text) || binary.LittleEndian.Uint64(b[at+hit.rare:]) != hitRares[text] {
		return false
	}
	return string(b[at:at+len(hit.text)]) == hit.text
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
		if err := d.whole(text[start:stop], parts{}); err != nil {
			bad(start, err)
		}
		d.blame(start, bad)
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
func (d *decoder) whole(line []byte, p parts) error {
	if !d.strict && d.fast(trimEnd(line), p, d.fold) {
		return nil
	}
	return d.line(line)
}

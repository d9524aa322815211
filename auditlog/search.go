package auditlog

import (
	"bytes"
	"encoding/binary"
)

// Looking for what matters first. A long text need not be looked for at every
// place: some of its bytes stand in every run of its length. For a short one the
// rarest byte is looked for, which the processor does much faster than a text.

const (
	markText = "seconds after warning threshold"

	statusText   = `"responseStatus":{`
	statusByte   = 'S'
	statusBefore = len(`"response`)

	codeText    = `"code":`
	refusedCode = "401"
	plainStatus = `"metadata":{},"code":`
)

// grams tells of each hash of four bytes where in the mark's text they stand, from
// 1 on, or 0 if they are not of it.
var grams = func() (at [1 << gramBits]uint8) {
	for i := range len(markText) - 3 {
		at[gram([]byte(markText[i:]))] = uint8(i + 1)
	}
	return at
}()

const gramBits = 12

func gram(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 0x9e3779b1 >> (32 - gramBits) }

// markStep is how far apart four bytes may be looked at so that no mark is
// missed.
const markStep = len(markText) - 3

// nextMark returns where the mark's text begins at or after from, or -1. It
// looks at four bytes in every 28, four times at once.
func nextMark(b []byte, from int) int {
	at := from + markStep - 1
	for ; len(b)-at >= 3*markStep+4; at += 4 * markStep {
		w := b[at : at+3*markStep+4]
		if grams[gram(w)]|grams[gram(w[markStep:])]|grams[gram(w[2*markStep:])]|grams[gram(w[3*markStep:])] == 0 {
			continue
		}
		for i := range 4 {
			if start := markAround(b, at+i*markStep); start >= 0 {
				return start
			}
		}
	}
	for ; len(b)-at >= 4; at += markStep {
		if start := markAround(b, at); start >= 0 {
			return start
		}
	}
	return -1
}

// markAround returns where the mark's text begins that the four bytes are of, or
// -1.
func markAround(b []byte, at int) int {
	i := int(grams[gram(b[at:])])
	if start := at - i + 1; i > 0 && start >= 0 && len(b)-start >= len(markText) && string(b[start:start+len(markText)]) == markText {
		return start
	}
	return -1
}

// nextRefusal returns where the status of an event that may be refused begins
// at or after from, or -1.
func nextRefusal(b []byte, from int) int {
	for at := from; at < len(b); {
		n := bytes.IndexByte(b[at:], statusByte)
		if n < 0 {
			return -1
		}
		at += n
		if start := at - statusBefore; start >= from && len(b)-start > len(statusText) && string(b[start:start+len(statusText)]) == statusText &&
			mayBeRefused(b[start+len(statusText):]) {
			return start
		}
		at++
	}
	return -1
}

// mayBeRefused tells whether the status that begins with the text may have the
// code 401. An event's own code is the last thing in its status.
func mayBeRefused(b []byte) bool {
	if len(b) >= len(plainStatus)+len(refusedCode) && string(b[:len(plainStatus)]) == plainStatus {
		return string(b[len(plainStatus):len(plainStatus)+len(refusedCode)]) == refusedCode
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return bytes.Contains(b, []byte(codeText+refusedCode))
}

// nativeStart is how lines begin in which marks and refusals may be looked for
// first. Others are decoded one by one.
var nativeStart = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/v1"`)

// decodeHits decodes only the lines of a text that may hold a mark or a
// refusal, and tells whether it passed over others.
func (d *decoder) decodeHits(text []byte, bad func(from int, err error)) (skipped bool) {
	done := 0
	mark, refusal := nextMark(text, 0), nextRefusal(text, 0)
	for {
		hit := mark
		if hit < 0 || refusal >= 0 && refusal < hit {
			hit = refusal
		}
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
		if mark >= 0 && mark < done {
			mark = nextMark(text, done)
		}
		if refusal >= 0 && refusal < done {
			refusal = nextRefusal(text, done)
		}
	}
}

var newline = []byte{'\n'}

// keepHits drops the events from index on that have neither a mark nor a 401.
func keepHits(events []Event, from int) []Event {
	kept := events[:from]
	for _, e := range events[from:] {
		if len(e.Mark) > 0 || e.Code == 401 {
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

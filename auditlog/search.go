package auditlog

import "bytes"

// Looking for what matters first: the processor looks for one byte much faster
// than for a text, so the rarest byte of each text is looked for, and then the
// text around it.

const (
	markText   = "seconds after warning threshold"
	markByte   = 'w'
	markBefore = len("seconds after ")

	statusText   = `"responseStatus":{`
	statusByte   = 'S'
	statusBefore = len(`"response`)

	codeText    = `"code":`
	refusedCode = "401"
	plainStatus = `"metadata":{},"code":`
)

// nextMark returns where the mark's text begins at or after from, or -1.
func nextMark(b []byte, from int) int {
	for at := from + markBefore; at < len(b); {
		n := bytes.IndexByte(b[at:], markByte)
		if n < 0 {
			return -1
		}
		at += n
		if start := at - markBefore; start >= from && len(b)-start >= len(markText) && string(b[start:start+len(markText)]) == markText {
			return start
		}
		at++
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
// refusal. It returns how many lines the text has, and how many it passed over.
func (d *decoder) decodeHits(text []byte, bad func(line int, err error)) (lines int, skipped int64) {
	done, decoded := 0, 0
	mark, refusal := nextMark(text, 0), nextRefusal(text, 0)
	for {
		hit := mark
		if hit < 0 || refusal >= 0 && refusal < hit {
			hit = refusal
		}
		if hit < 0 {
			break
		}
		start := done + bytes.LastIndexByte(text[done:hit], '\n') + 1
		stop := len(text)
		if i := bytes.IndexByte(text[hit:], '\n'); i >= 0 {
			stop = hit + i
		}
		lines += bytes.Count(text[done:start], newline) + 1
		decoded++
		if err := d.whole(text[start:stop]); err != nil {
			bad(lines, err)
		}
		done = min(stop+1, len(text))
		if mark >= 0 && mark < done {
			mark = nextMark(text, done)
		}
		if refusal >= 0 && refusal < done {
			refusal = nextRefusal(text, done)
		}
	}
	lines += bytes.Count(text[done:], newline)
	if len(text) > done && text[len(text)-1] != '\n' {
		lines++
	}
	return lines, int64(lines - decoded)
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

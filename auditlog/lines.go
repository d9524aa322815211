package auditlog

import (
	"bytes"
	"errors"
	"time"
)

// eventStart is how the API server begins an event.
var eventStart = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/`)

// piece is how much text is decoded before its events are handed on: little
// enough to stay in the processor's cache.
const piece = 256 << 10

// spot is where a text stands in its stream: in a row of texts whose lines are
// counted, or, in a file, at an offset of 0 or more, so that nobody has to count.
type spot struct {
	seq int
	off int64
}

// lines takes the lines of a text apart and hands on their events.
func (s *scan) lines(st *stream, d *decoder, text []byte, at spot) {
	for len(text) > 0 {
		n := len(text)
		if n > piece {
			if i := bytes.LastIndexByte(text[:piece], '\n'); i >= 0 {
				n = i + 1
			} else if i := bytes.IndexByte(text[piece:], '\n'); i >= 0 {
				n = piece + i + 1
			}
		}
		s.piece(st, d, text[:n], at)
		text = text[n:]
		if at.off >= 0 {
			at.off += int64(n)
		}
	}
}

func (s *scan) piece(st *stream, d *decoder, text []byte, at spot) {
	d.reset()
	var got Stats
	var bad badLine
	note := func(from int, err error) {
		got.fault(err)
		if bad.reason == "" {
			bad = badLine{int64(from), err.Error()}
		}
	}
	if s.marksOnly && bytes.HasPrefix(text, nativeStart) {
		got.Skipped = d.decodeHits(text, note)
	} else {
		for from := 0; from < len(text); {
			for _, p := range d.look(text, from) {
				if err := d.whole(text[from:p.end], p); err != nil {
					note(from, err)
				}
				if len(d.faults) > 0 {
					d.blame(from, note)
				}
				from = p.end + 1
			}
		}
	}
	got.Bytes = int64(len(text))
	s.deliver(st, d, got)
	st.note(at, text, bad)
}

// fault counts a line, or a text in an envelope, that was left out.
func (got *Stats) fault(err error) {
	if errors.Is(err, errTruncated) {
		got.Truncated++
	} else {
		got.Corrupt++
	}
}

// blame hands on why texts in the envelopes of a line were left out.
func (d *decoder) blame(from int, note func(from int, err error)) {
	for _, err := range d.faults {
		note(from, err)
	}
	d.faults = d.faults[:0]
}

// place gives the next text of a stream its place.
func (st *stream) place() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.perText = append(st.perText, 0)
	return len(st.perText) - 1
}

// note keeps which line of a stream is the first bad one. The place of the bad
// line is that of its first byte in the text.
func (st *stream) note(at spot, text []byte, bad badLine) {
	if at.off >= 0 {
		if bad.reason == "" {
			return
		}
		bad.place += at.off
		st.mu.Lock()
		defer st.mu.Unlock()
		if first, ok := st.bad[0]; !ok || bad.place < first.place {
			st.bad[0] = bad
		}
		return
	}
	lines := bytes.Count(text, newline)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		lines++
	}
	bad.place = int64(bytes.Count(text[:bad.place], newline)) + 1
	st.count(at.seq, lines, bad)
}

// count notes how many lines a text has, and which is the first bad one.
func (st *stream) count(seq, lines int, bad badLine) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, ok := st.bad[seq]; bad.reason != "" && !ok {
		bad.place += int64(st.perText[seq])
		st.bad[seq] = bad
	}
	st.perText[seq] += int32(lines)
}

// deliver hands events to the sink and adds to the stream's counts.
func (s *scan) deliver(st *stream, d *decoder, got Stats) {
	if s.marksOnly {
		all := len(d.events)
		d.events = keepHits(d.events, 0)
		got.Skipped = got.Skipped || all > len(d.events)
	}
	if len(d.events) > 0 {
		s.sink(d.events)
	}
	if d.fold != nil {
		d.tellUses(1)
	}
	first, last := d.first, d.last
	for i := range d.events {
		at := d.events[i].Time.UnixNano() // of the years that an event may be of
		first, last = min(first, at), max(last, at)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	t := &st.stats
	t.Bytes += got.Bytes
	t.Events += int64(len(d.events)) + d.left
	t.Other += d.other
	t.Truncated += got.Truncated
	t.Corrupt += got.Corrupt
	t.Long += got.Long
	t.Skipped = t.Skipped || got.Skipped
	t.Shapes |= d.shapes
	if first > last {
		return
	}
	if at := time.Unix(0, first).UTC(); t.First.IsZero() || at.Before(t.First) {
		t.First = at
	}
	if at := time.Unix(0, last).UTC(); at.After(t.Last) {
		t.Last = at
	}
}

// line decodes the documents of one line.
func (d *decoder) line(line []byte) error {
	line = trim(line)
	if len(line) > 0 && line[0] == 0 { // where a log was cut to nothing while it was written
		line = trim(bytes.TrimLeft(line, "\x00"))
	}
	if len(line) == 0 {
		return nil
	}
	if !opens(line) {
		if line[0] == '"' && line[len(line)-1] == '"' {
			return d.quoted(line)
		}
		if isBase64(line) {
			if d.base64(line, 1) {
				return nil
			}
			return errSyntax
		}
		// Log collectors put a time and the like before the event.
		i := opening(line)
		if i < 0 {
			return errSyntax
		}
		if bytes.IndexByte(line[:i], '{') >= 0 { // logcli's labels
			d.shapes |= QueryResults
		}
		line = line[i:]
	}
	for len(line) > 0 {
		before, other, faults := len(d.events), d.other, len(d.faults)
		n, err := d.document(line, 0)
		if err != nil {
			d.events, d.other, d.faults = d.events[:before], other, d.faults[:faults]
			// A writer that was cut off leaves half a line with a whole event
			// behind it. It begins where the walk stumbled; one inside a request's
			// object does not.
			from := max(1, n-2*len(eventStart))
			if from < len(line) {
				if k := bytes.Index(line[from:min(len(line), n+len(eventStart))], eventStart); k >= 0 {
					if d.line(line[from+k:]) == nil {
						return errTruncated
					}
				}
			}
			return err
		}
		line = bytes.TrimLeft(line[n:], " \t\r,")
		if len(line) > 0 && line[0] != '{' {
			return errSyntax
		}
	}
	return nil
}

// maxPrefix bounds what may stand on a line before an event.
const maxPrefix = 2 << 10

// opening returns where JSON begins in a line, behind what a collector put before
// it, or -1. Loki's logcli puts labels there, {job="audit"}, so a bracket counts
// first that a key follows.
func opening(line []byte) int {
	head := line[:min(len(line), maxPrefix)]
	first := bytes.IndexByte(head, '{')
	for i := first; i >= 0; {
		w := walker{b: line, i: i + 1}
		if w.peek() == '"' {
			if _, _, err := w.raw(); err != nil || w.peek() == ':' {
				return i
			}
		}
		n := bytes.IndexByte(head[i+1:], '{')
		if n < 0 {
			break
		}
		i += 1 + n
	}
	return first
}

// opens tells whether a line begins with JSON. A bracket may also be that of
// "[pod/NAME/CONTAINER] ", which kubectl puts before a line.
func opens(line []byte) bool {
	if line[0] != '[' {
		return line[0] == '{'
	}
	next := bytes.TrimLeft(line[1:], " \t\r\n")
	return len(next) == 0 || bytes.IndexByte([]byte(`{["]`), next[0]) >= 0
}

// quoted decodes a line that is one JSON string, in which the event is.
func (d *decoder) quoted(line []byte) error {
	w := walker{b: line}
	s, err := w.value()
	if err != nil || w.i != len(line) {
		return errSyntax
	}
	if before := len(d.events); d.packed("", s, 1) != nil || len(d.events) == before {
		return errSyntax
	}
	return nil
}

func trimEnd(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}

func trim(line []byte) []byte {
	line = trimEnd(line)
	line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	for len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		line = line[1:]
	}
	return line
}

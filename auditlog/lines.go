package auditlog

import (
	"bytes"
	"errors"
	"io"
	"math"
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
		if errors.Is(err, errTruncated) {
			got.Truncated++
		} else {
			got.Corrupt++
		}
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
				from = p.end + 1
			}
		}
	}
	got.Bytes = int64(len(text))
	s.deliver(st, d, got)
	st.note(at, text, bad)
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
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range d.events {
		at := d.events[i].Time.UnixNano() // of the years that an event may be of
		first, last = min(first, at), max(last, at)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	t := &st.stats
	t.Bytes += got.Bytes
	t.Events += int64(len(d.events))
	t.Other += d.other
	t.Truncated += got.Truncated
	t.Corrupt += got.Corrupt
	t.Long += got.Long
	t.Skipped = t.Skipped || got.Skipped
	t.Shapes |= d.shapes
	if len(d.events) == 0 {
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
		i := bytes.IndexByte(line[:min(len(line), maxPrefix)], '{')
		if i < 0 {
			return errSyntax
		}
		line = line[i:]
	}
	for len(line) > 0 {
		before, other := len(d.events), d.other
		n, err := d.document(line, 0)
		if err != nil {
			d.events, d.other = d.events[:before], other
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
const maxPrefix = 512

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

// isDocument tells whether text is one document over many lines, and not one
// document a line.
func isDocument(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n")
	i := bytes.IndexByte(text, '\n')
	if i < 0 || !opens(text) {
		return false
	}
	next := bytes.TrimLeft(text[i:], " \t\r\n")
	first := bytes.TrimRight(text[:i], " \t\r")
	w := walker{b: first}
	// A cut line of a log is followed by another event; a list goes on with one.
	return errors.Is(w.skip(), errTruncated) && len(next) > 0 && (first[0] == '[' || first[len(first)-1] == '[' || next[0] != '{')
}

// longLine takes apart a line that is longer than a block. The block holds its
// beginning, and in the end what came after it.
func (s *scan) longLine(st *stream, b *block, r io.Reader, at spot) error {
	d := s.decoder()
	var got Stats
	sp := s.splitter(st, d, &got)
	begun := trim(b.buf[:min(b.n, maxPrefix)])
	if len(begun) > 0 && !opens(begun) {
		i := max(0, bytes.IndexByte(begun, '{'))
		begun = begun[i:]
	}
	skip := len(b.buf[:min(b.n, maxPrefix)]) - len(begun)
	sp.feed(b.buf[skip:b.n])
	got.Bytes = int64(b.n)
	b.n = 0
	var err error
	for err == nil {
		var n int
		n, err = r.Read(b.buf)
		if i := bytes.IndexByte(b.buf[:n], '\n'); i >= 0 {
			sp.feed(b.buf[:i])
			got.Bytes += int64(i + 1)
			b.n = copy(b.buf, b.buf[i+1:n])
			break
		}
		sp.feed(b.buf[:n])
		got.Bytes += int64(n)
	}
	reason := ""
	switch {
	case sp.bad:
		got.Corrupt++
		reason = errSyntax.Error()
	case !sp.whole():
		got.Truncated++
		reason = errTruncated.Error()
	case sp.long > 0:
		reason = "an event longer than 4 MiB"
	}
	got.Long += sp.long
	s.deliver(st, d, got)
	if at.off >= 0 {
		st.note(at, nil, badLine{0, reason})
	} else {
		st.count(at.seq, 1, badLine{1, reason})
	}
	return err
}

// splitter returns one whose objects are decoded and handed on at once.
func (s *scan) splitter(st *stream, d *decoder, got *Stats) *splitter {
	return newSplitter(func(object []byte) {
		if _, err := d.document(object, 1); err != nil {
			got.Corrupt++
		}
		if len(d.events) > 0 {
			s.deliver(st, d, Stats{})
			d.reset()
		}
	})
}

// documents takes apart a stream that is one or more documents over many lines.
func (s *scan) documents(st *stream, b *block, r io.Reader, readErr error) error {
	d := s.decoder()
	var got Stats
	sp := s.splitter(st, d, &got)
	sp.feed(bytes.TrimPrefix(b.buf[:b.n], []byte("\xef\xbb\xbf")))
	got.Bytes = int64(b.n)
	for readErr == nil {
		var n int
		n, readErr = r.Read(b.buf)
		sp.feed(b.buf[:n])
		got.Bytes += int64(n)
	}
	switch {
	case sp.bad:
		got.Corrupt++
	case !sp.whole():
		got.Truncated++
	}
	got.Long += sp.long
	s.deliver(st, d, got)
	s.pool.Put(b)
	if errors.Is(readErr, io.EOF) {
		return nil
	}
	return readErr
}

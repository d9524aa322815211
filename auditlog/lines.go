package auditlog

import (
	"bytes"
	"errors"
	"io"
)

// eventStart is how the API server begins an event.
var eventStart = []byte(`{"kind":"Event","apiVersion":"audit.k8s.io/`)

// decode takes the lines of a block apart and hands on their events.
func (s *scan) decode(b *block) {
	d := &b.dec
	d.events, d.other = d.events[:0], 0
	var got Stats
	var bad badLine
	lines := 0
	for rest := b.buf[:b.n]; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		lines++
		if s.marksOnly && !isHit(line) {
			got.Skipped++
			continue
		}
		if err := d.line(line); err != nil {
			if errors.Is(err, errTruncated) {
				got.Truncated++
			} else {
				got.Corrupt++
			}
			if bad.line == 0 {
				bad = badLine{lines, err.Error()}
			}
		}
	}
	got.Bytes = int64(b.n)
	s.deliver(b.stream, d, got, func(st *stream) {
		st.lines[b.seq] = int32(lines)
		if bad.line > 0 {
			st.bad[b.seq] = bad
		}
	})
	s.pool.Put(b)
}

// What a line holds that may be a mark or a refusal.
var (
	markLiteral    = []byte("seconds after warning threshold")
	refusedLiteral = []byte(`"code":401`)
)

func isHit(line []byte) bool {
	return bytes.Contains(line, markLiteral) || bytes.Contains(line, refusedLiteral)
}

// deliver hands events to the sink and adds to the stream's counts.
func (s *scan) deliver(st *stream, d *decoder, got Stats, also func(*stream)) {
	if len(d.events) > 0 {
		s.sink(d.events)
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
	t.Skipped += got.Skipped
	for i := range d.events {
		at := d.events[i].Time
		if t.First.IsZero() || at.Before(t.First) {
			t.First = at
		}
		if at.After(t.Last) {
			t.Last = at
		}
	}
	also(st)
}

// line decodes the documents of one line.
func (d *decoder) line(line []byte) error {
	line = trim(line)
	if len(line) == 0 {
		return nil
	}
	if line[0] != '{' && line[0] != '[' {
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

func trim(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
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
	if i < 0 || text[0] != '{' && text[0] != '[' {
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
func (s *scan) longLine(st *stream, b *block, r io.Reader) error {
	d := &decoder{}
	var got Stats
	sp := s.splitter(st, d, &got)
	begun := trim(b.buf[:min(b.n, maxPrefix)])
	if len(begun) > 0 && begun[0] != '{' && begun[0] != '[' {
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
	s.deliver(st, d, got, func(st *stream) {
		if reason != "" {
			st.bad[len(st.lines)] = badLine{1, reason}
		}
		st.lines = append(st.lines, 1)
	})
	return err
}

// splitter returns one whose objects are decoded and handed on at once.
func (s *scan) splitter(st *stream, d *decoder, got *Stats) *splitter {
	return newSplitter(func(object []byte) {
		if _, err := d.document(object, 1); err != nil {
			got.Corrupt++
		}
		if len(d.events) > 0 {
			s.deliver(st, d, Stats{}, func(*stream) {})
			d.events, d.other = d.events[:0], 0
		}
	})
}

// documents takes apart a stream that is one or more documents over many lines.
func (s *scan) documents(st *stream, b *block, r io.Reader, readErr error) error {
	d := &decoder{}
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
	s.deliver(st, d, got, func(*stream) {})
	s.pool.Put(b)
	if errors.Is(readErr, io.EOF) {
		return nil
	}
	return readErr
}

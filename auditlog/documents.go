package auditlog

import (
	"bytes"
	"errors"
	"io"
)

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
	if !errors.Is(w.skip(), errTruncated) || len(next) == 0 {
		return false
	}
	// A cut line of a log is followed by another event; a list goes on with one.
	return first[0] == '[' || first[len(first)-1] == '[' || next[0] != '{' || bytes.HasSuffix(first, []byte("},")) && innermost(first) == '['
}

// innermost returns the bracket that is open at the end of JSON text.
func innermost(text []byte) byte {
	var open []byte
	for w := (walker{b: text}); w.i < len(text); w.i++ {
		switch c := text[w.i]; c {
		case '"':
			if w.skipString() != nil {
				return 0
			}
			w.i--
		case '{', '[':
			open = append(open, c)
		case '}', ']':
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

// longLine takes apart a line that is longer than a block. The block holds its
// beginning, and in the end what came after it.
func (s *scan) longLine(st *stream, b *block, r io.Reader, at spot) error {
	d := s.decoder()
	var got Stats
	sp := s.splitter(st, d, &got)
	begun := trim(b.buf[:min(b.n, maxPrefix)])
	if len(begun) > 0 && !opens(begun) {
		begun = begun[max(0, opening(begun)):]
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
	return newSplitter(func(p part) {
		other := d.other
		w := walker{b: p.text}
		if err := d.element(&w, 1); err != nil {
			got.fault(err)
		}
		d.blame(0, func(_ int, err error) { got.fault(err) })
		if len(d.events) > 0 {
			d.shapes |= shapeOf(p.list, p.text)
			s.deliver(st, d, Stats{})
			d.reset()
		} else if p.emptied {
			d.other = other
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

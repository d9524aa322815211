package explain

import (
	"bytes"
	"io"
	"strings"
)

// What a sample keeps of a text that is too large to hold.
const (
	keepEachMark = 40        // lines for each mark
	keepContext  = 4 << 10   // bytes on either side of a mark in a long line
	keepEnds     = 256 << 10 // of the beginning
)

// sample reads the rest of a large input and keeps its beginning and the lines
// on which a rule has a mark. Memory stays bounded whatever the size.
func (t *Text) sample(head []byte, rest io.Reader) error {
	s := &sampler{t: t, m: marks(), counts: map[int]int{}, line: 1}
	buf := make([]byte, maxLine)
	n := copy(buf, head)
	head = head[n:]
	for {
		for n < len(buf) {
			var m int
			var err error
			if len(head) > 0 {
				m = copy(buf[n:], head)
				head = head[m:]
			} else {
				m, err = rest.Read(buf[n:])
				t.Size += int64(m)
			}
			n += m
			if err == io.EOF {
				s.take(buf[:n], true)
				t.Sampled = true
				return nil
			}
			if err != nil {
				return err
			}
		}
		// Leave the last, unfinished line for the next round, and of a line
		// longer than the buffer enough to find a mark that is cut in two.
		used := s.take(buf[:n], false)
		n = copy(buf, buf[used:n])
	}
}

type sampler struct {
	t      *Text
	m      *matcher
	counts map[int]int
	line   int
	size   int
	open   bool // the line was begun in an earlier buffer
}

// take looks at whole lines of b and returns how many bytes it is done with.
func (s *sampler) take(b []byte, last bool) int {
	done := 0
	for done < len(b) {
		end := bytes.IndexByte(b[done:], '\n')
		whole := end >= 0
		switch {
		case whole:
			end += done
		case last:
			end = len(b)
		case done > 0:
			return done
		default: // one line fills the buffer
			s.keep(b)
			s.open = true
			return len(b) - keepContext
		}
		s.keep(b[done:end])
		s.open = false
		done = end
		if whole {
			done++
			s.line++
		}
	}
	return done
}

// keep keeps the line if it holds a mark that was not met often yet, or if it
// is among the first.
func (s *sampler) keep(line []byte) {
	if s.size > maxWhole {
		return
	}
	if s.size < keepEnds && len(line) < keepContext {
		s.append(line)
		return
	}
	lo, hi := -1, -1
	s.m.find(line, func(mark, at int) bool {
		if s.counts[mark] >= keepEachMark {
			return true
		}
		if hi >= 0 && at > hi { // far from the marks so far: a piece of its own
			s.append(line[lo:hi])
			lo, hi = -1, -1
		}
		s.counts[mark]++
		if lo < 0 {
			lo = max(0, at-keepContext)
		}
		hi = min(len(line), at+keepContext)
		return s.size+hi-lo < maxWhole
	})
	if lo >= 0 {
		if len(line) < 2*keepContext {
			lo, hi = 0, len(line)
		}
		s.append(line[lo:hi])
	}
}

func (s *sampler) append(line []byte) {
	part := Text{}
	part.clean(string(line))
	s.t.Lines = append(s.t.Lines, strings.Join(part.Lines, " "))
	s.t.numbers = append(s.t.numbers, s.line)
	s.size += len(line) + 1
}

// matcher finds many literals at once, whatever their case (Aho and Corasick,
// 1975).
type matcher struct {
	next  [][256]int32
	out   [][]int32
	start [256]bool
}

func newMatcher(words []string) *matcher {
	m := &matcher{next: make([][256]int32, 1), out: make([][]int32, 1)}
	for id, w := range words {
		state := int32(0)
		for _, c := range []byte(strings.ToLower(w)) {
			if m.next[state][c] == 0 {
				m.next = append(m.next, [256]int32{})
				m.out = append(m.out, nil)
				m.next[state][c] = int32(len(m.next) - 1)
			}
			state = m.next[state][c]
		}
		m.out[state] = append(m.out[state], int32(id))
	}
	fail := make([]int32, len(m.next))
	var queue []int32
	for c := range 256 {
		if s := m.next[0][c]; s != 0 {
			queue = append(queue, s)
			m.start[c] = true
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		m.out[s] = append(m.out[s], m.out[fail[s]]...)
		for c := range 256 {
			t := m.next[s][c]
			if t == 0 {
				m.next[s][c] = m.next[fail[s]][c]
				continue
			}
			fail[t] = m.next[fail[s]][c]
			queue = append(queue, t)
		}
	}
	for c := 'A'; c <= 'Z'; c++ { // capitals go where small letters go
		m.start[c] = m.start[c+'a'-'A']
		for s := range m.next {
			m.next[s][c] = m.next[s][c+'a'-'A']
		}
	}
	return m
}

// find calls f for every literal that ends in b, with its number and the
// offset after it, until f says false.
func (m *matcher) find(b []byte, f func(mark, at int) bool) {
	state := int32(0)
	for i, c := range b {
		if state == 0 && !m.start[c] {
			continue
		}
		state = m.next[state][c]
		for _, id := range m.out[state] {
			if !f(int(id), i+1) {
				return
			}
		}
	}
}

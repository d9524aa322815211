package auditlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options bound and steer a scan. The zero value is usable.
type Options struct {
	// Workers is how many streams are read, and how many blocks decoded, at the
	// same time; 0 means one per processor.
	Workers int
	// MarksOnly asks only for events with a stale-token mark and for those that
	// were answered 401 for want of a user, at full speed. Other lines are passed
	// over (Stats.Skipped).
	MarksOnly bool
	// Strict walks over every byte of every event, and over none in a hurry: a
	// check of the fast way, which must come to the same.
	Strict bool
	// Fold, if set, lets the sink do without most events. It does not go together
	// with MarksOnly and Strict, which leave it out.
	Fold *Fold
	// Done, if set, is raised by the bytes read from files and streams, before
	// they are unpacked.
	Done *atomic.Int64
}

// Stats says what was met in one stream.
type Stats struct {
	Name string
	// Bytes of text, after unpacking.
	Bytes int64
	// Events decoded, JSON objects that are no audit events, and lines that are
	// cut, are no JSON, or are longer than an event may be.
	Events, Other, Truncated, Corrupt, Long int64
	// Skipped tells that lines were passed over because of Options.MarksOnly.
	Skipped bool
	// Shapes of what was decoded that leave something out.
	Shapes Shape
	// First and Last are the earliest and latest time of an event.
	First, Last time.Time
	// BadLine is the number of the first line that is cut or corrupt, and
	// BadReason says what is wrong with it; 0 and "" if there is none.
	BadLine   int64
	BadReason string
	// Err is why the stream could not be opened or read to its end.
	Err error
}

// Reason says in a few words why the stream could not be read to its end, or "".
func (s Stats) Reason() string {
	if s.Err == nil {
		return ""
	}
	return reason(s.Err)
}

// Scan reads the sources and calls sink with batches of events, in no
// particular order and from several goroutines at once. It returns what it met
// in each stream, in the order of the sources. The error is that of the first
// source that could not be used at all, or the context's.
func Scan(ctx context.Context, sources []Source, o Options, sink func([]Event)) ([]Stats, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	s := &scan{marksOnly: o.MarksOnly, strict: o.Strict, sink: sink, done: o.Done, blocks: make(chan *block, o.Workers)}
	s.known = newSenders()
	if !s.marksOnly && !s.strict {
		s.fold = o.Fold
	}
	s.pool.New = func() any { return &block{buf: make([]byte, blockSize)} }

	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			d := s.decoder()
			d.fold = s.fold
			defer d.tellAll()
			var buf []byte
			for b := range s.blocks {
				if b.chunk != nil {
					s.decodeChunk(b.chunk, d, &buf)
					continue
				}
				s.lines(b.stream, d, b.buf[:b.n], spot{b.seq, -1})
				s.pool.Put(b)
			}
		})
	}
	finished := make(chan error, 1)
	go func() {
		err := s.readAll(ctx, sources, o.Workers)
		close(s.blocks)
		workers.Wait()
		finished <- err
	}()
	select {
	case err := <-finished:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		// A read of a pipe can't be called off; its goroutine ends with it.
		return nil, ctx.Err()
	}
	out := make([]Stats, len(s.streams))
	for i, st := range s.streams {
		out[i] = st.result()
	}
	return out, nil
}

const blockSize = 256 << 10

type scan struct {
	sink      func([]Event)
	done      *atomic.Int64
	blocks    chan *block
	pool      sync.Pool
	streams   []*stream
	known     *senders
	marksOnly bool
	strict    bool
	fold      *Fold
}

func (s *scan) decoder() *decoder {
	d := &decoder{strict: s.strict, known: s.known}
	d.reset()
	return d
}

// block is a piece of a stream that ends with a line.
type block struct {
	buf    []byte
	n      int
	seq    int
	stream *stream
	chunk  *chunk // instead of all this, a part of a file
}

// stream collects what is met in one stream.
type stream struct {
	Stream
	mu    sync.Mutex
	stats Stats
	// perText is how many lines each text of the stream has, and bad the first
	// bad line of each; of a file that is read in chunks only the first bad line
	// is kept, by its offset, until its number is wanted.
	perText []int32
	bad     map[int]badLine
	// parts are the files of an archive.
	parts []*stream
}

// badLine is the first bad line of a text: its number, counted from 1, or where
// it begins.
type badLine struct {
	place  int64
	reason string
}

func (st *stream) result() Stats {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := st.stats
	before := int64(0)
	for seq, n := range st.perText {
		if b, ok := st.bad[seq]; ok {
			out.BadLine, out.BadReason = before+b.place, b.reason
			break
		}
		before += int64(n)
	}
	for _, part := range st.parts {
		out.join(part.result())
	}
	return out
}

func (s *scan) readAll(ctx context.Context, sources []Source, workers int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, workers)
	for _, src := range sources {
		err := src.Streams(ctx, func(in Stream) error {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			st := &stream{Stream: in, stats: Stats{Name: in.Name}, bad: map[int]badLine{}}
			s.streams = append(s.streams, st)
			wg.Go(func() {
				defer func() { <-slots }()
				if err := s.read(ctx, st); err != nil {
					st.mu.Lock()
					st.stats.Err = err
					st.mu.Unlock()
				}
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// counting counts the bytes that are read through it.
type counting struct {
	io.Reader
	done *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done.Add(int64(n))
	return n, err
}

// read cuts a stream into blocks of whole lines.
func (s *scan) read(ctx context.Context, st *stream) error {
	f, err := st.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	if taken, err := s.chunks(ctx, st, f); taken || err != nil {
		return err
	}
	if taken, err := s.zip(ctx, st, f); taken || err != nil {
		return err
	}
	var in io.Reader = f
	if s.done != nil {
		in = counting{f, s.done}
	}
	r, closeReader, err := unpack(in)
	if err != nil {
		return err
	}
	defer closeReader()
	return s.content(ctx, st, r, 0)
}

func (s *scan) cut(ctx context.Context, st *stream, r io.Reader) error {
	b := s.block(st)
	var readErr error
	for first := true; readErr == nil; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var n int
		n, readErr = r.Read(b.buf[b.n:])
		b.n += n
		if b.n < len(b.buf) && readErr == nil {
			continue
		}
		if first {
			first = false
			if isTable(b.buf[:b.n]) {
				rest := io.Reader(bytes.NewReader(b.buf[:b.n]))
				if readErr == nil {
					rest = io.MultiReader(rest, r)
				} else if !errors.Is(readErr, io.EOF) {
					rest = io.MultiReader(rest, broken{readErr})
				}
				return s.table(st, rest)
			}
			if isDocument(b.buf[:b.n]) {
				err := s.documents(st, b, r, readErr)
				return err
			}
		}
		end := bytes.LastIndexByte(b.buf[:b.n], '\n') + 1
		switch {
		case readErr != nil:
		case end == 0:
			if readErr = s.longLine(st, b, r, spot{st.place(), -1}); readErr == nil {
				continue
			}
		default:
			next := s.block(st)
			next.n = copy(next.buf, b.buf[end:b.n])
			b.n = end
			if err := s.send(ctx, b); err != nil {
				return err
			}
			b = next
		}
	}
	if err := s.send(ctx, b); err != nil {
		return err
	}
	if errors.Is(readErr, io.EOF) {
		return nil
	}
	return readErr
}

// broken is a reader that fails.
type broken struct{ err error }

func (r broken) Read([]byte) (int, error) { return 0, r.err }

func (s *scan) block(st *stream) *block {
	b := s.pool.Get().(*block)
	b.n, b.stream = 0, st
	return b
}

// send hands a block to the workers and gives it its place in the stream.
func (s *scan) send(ctx context.Context, b *block) error {
	b.seq = b.stream.place()
	select {
	case s.blocks <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

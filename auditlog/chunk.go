package auditlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"sync"
)

// A large plain file is read by all workers at once, each a chunk at a time. A
// line belongs to the chunk in which it begins.
const (
	chunkSize = 2 << 20
	// largeChunk is for files of which each worker gets several all the same: a
	// part of a file that is mapped costs the same however long it is, and the
	// other workers are interrupted when it is let go. What is mapped counts as
	// memory, of which a scan for marks alone needs little else.
	largeChunk = 8 << 20
	marksChunk = 16 << 20
	largeFile  = 128 << 20
	// chunkMore is read beyond a chunk for its last line.
	chunkMore = 64 << 10
	// manyBytes is from where on a file is large.
	manyBytes = 4 << 20
)

// chunk is a task for a worker.
type chunk struct {
	stream *stream
	file   *os.File
	size   int64 // of the file
	from   int64 // where in it the chunk begins
	to     int64 // and where it ends
	done   *sync.WaitGroup
}

var errShrunk = errors.New("the file shrank while it was read")

// chunks hands a file to the workers. It reports false where the file is to be
// read from its beginning to its end instead.
func (s *scan) chunks(ctx context.Context, st *stream, f io.Reader) (bool, error) {
	file, ok := f.(*os.File)
	if !ok || st.Size < manyBytes {
		return false, nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() < manyBytes {
		return false, err
	}
	head := make([]byte, 64<<10)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if head = head[:n]; packing(head) != "" || isDocument(head) || isTable(head) || bytes.IndexByte(head, '\n') < 0 {
		return false, nil
	}
	size, step := info.Size(), int64(chunkSize)
	switch {
	case size >= largeFile && s.marksOnly:
		step = marksChunk
	case size >= largeFile:
		step = largeChunk
	}
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		st.number(file)
	}()
	for from := int64(0); from < size; from += step {
		wg.Add(1)
		select {
		case s.blocks <- &block{chunk: &chunk{st, file, size, from, min(from+step, size), &wg}}:
		case <-ctx.Done():
			wg.Done()
			return true, ctx.Err()
		}
	}
	return true, nil
}

// number finds out the number of the first bad line, whose offset is known.
func (st *stream) number(file *os.File) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.perText = []int32{0}
	bad, ok := st.bad[0]
	if !ok {
		return
	}
	r, line := io.NewSectionReader(file, 0, bad.place), int64(1)
	for buf := make([]byte, 64<<10); ; {
		n, err := r.Read(buf)
		line += int64(bytes.Count(buf[:n], newline))
		if err != nil {
			break
		}
	}
	bad.place = line
	st.bad[0] = bad
}

// decodeChunk decodes the lines that begin in a chunk.
func (s *scan) decodeChunk(c *chunk, d *decoder, buf *[]byte) {
	defer c.done.Done()
	if err := s.tryChunk(c, d, buf); err != nil {
		c.stream.mu.Lock()
		c.stream.stats.Err = errors.Join(c.stream.stats.Err, err)
		c.stream.mu.Unlock()
	}
}

func (s *scan) tryChunk(c *chunk, d *decoder, buf *[]byte) (err error) {
	from, to := c.from, c.to
	first := max(0, from-1) // to see whether a line begins with the chunk
	n := int(min(to+chunkMore, c.size) - first)
	data, release, err := view(c.file, first, n, buf)
	if err != nil {
		return err
	}
	defer release()
	// Where the file was cut off after it was mapped, looking at it faults.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(interface{ Addr() uintptr }); !ok {
				panic(r)
			}
			err = errShrunk
		}
	}()
	if int64(len(data)) < to-first {
		return errShrunk
	}
	begin, end := 0, int(to-first)
	if from > 0 {
		i := bytes.IndexByte(data[:end], '\n')
		if i < 0 || i+1 == end {
			return nil // no line begins here
		}
		begin = i + 1
	}
	if data[end-1] != '\n' {
		i := bytes.IndexByte(data[end:], '\n')
		switch {
		case i >= 0:
			end += i + 1
		case first+int64(len(data)) >= c.size:
			end = len(data)
		default:
			last := bytes.LastIndexByte(data[:end], '\n') + 1
			if last < begin {
				last = begin
			}
			s.lines(c.stream, d, data[begin:last], spot{off: first + int64(begin)})
			return s.farLine(c, first+int64(last))
		}
	}
	s.lines(c.stream, d, data[begin:end], spot{off: first + int64(begin)})
	if s.done != nil {
		s.done.Add(to - from)
	}
	return nil
}

// farLine reads the one line that begins at the offset and goes far beyond its
// chunk.
func (s *scan) farLine(c *chunk, off int64) error {
	r := io.NewSectionReader(c.file, off, c.size-off)
	b := s.block(c.stream)
	defer s.pool.Put(b)
	n, err := io.ReadFull(r, b.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	b.n = n
	if i := bytes.IndexByte(b.buf[:n], '\n'); i >= 0 || n < len(b.buf) {
		if i >= 0 {
			n = i + 1
		}
		s.lines(c.stream, s.decoder(), b.buf[:n], spot{off: off})
		return nil
	}
	err = s.longLine(c.stream, b, r, spot{off: off})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

package cli

import (
	"io"
	"sync"
)

// maxPending bounds the lines that wait for one another in a lineWriter, in
// bytes.
const maxPending = 256 << 10

// lineWriter hands lines on, several at once where they come faster than they
// can be written. Who finds nobody writing writes its line; lines that come
// meanwhile are written after it by a goroutine, and who brought them goes on. A
// plain lock would make all reviews wait for one that lost its processor, or met
// a slow reader of the log, while it wrote its line.
//
// Lines that out refuses, on a full disk say, are lost, and the next ones are
// tried again.
type lineWriter struct {
	out io.Writer

	mu      sync.Mutex
	changed sync.Cond // pending was taken, or nobody writes any more
	pending []byte
	spare   []byte // pending and spare take turns
	writing bool
}

func newLineWriter(out io.Writer) *lineWriter {
	w := &lineWriter{out: out}
	w.changed.L = &w.mu
	return w
}

// Write implements io.Writer.
func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing && len(w.pending) >= maxPending {
		w.changed.Wait()
	}
	if w.writing {
		w.pending = append(w.pending, line...)
		return len(line), nil
	}
	w.writing = true
	w.mu.Unlock()
	n, err := w.out.Write(line)
	w.mu.Lock()
	if len(w.pending) > 0 {
		go w.rest()
	} else {
		w.idle()
	}
	return n, err
}

// rest writes what came while a line was written, until nothing is left.
func (w *lineWriter) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) > 0 {
		batch := w.pending
		w.pending = w.spare[:0]
		w.changed.Broadcast()
		w.mu.Unlock()
		_, _ = w.out.Write(batch) // there is nobody to tell
		w.mu.Lock()
		w.spare = batch
	}
	w.idle()
}

func (w *lineWriter) idle() {
	w.writing = false
	w.changed.Broadcast()
}

// Flush waits until all lines are with out.
func (w *lineWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing {
		w.changed.Wait()
	}
}

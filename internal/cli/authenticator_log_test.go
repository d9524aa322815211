package cli

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// slowWriter takes nothing until it is let go.
type slowWriter struct {
	bytes.Buffer
	entered, letGo chan struct{}
	writes         int
	err            error
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.writes++
	w.entered <- struct{}{}
	<-w.letGo
	if w.err != nil {
		return 0, w.err
	}
	return w.Buffer.Write(p)
}

func newSlowWriter() *slowWriter {
	return &slowWriter{entered: make(chan struct{}, 10), letGo: make(chan struct{})}
}

// TestLineWriter writes lines while another one is being written: nobody waits,
// they come in one piece, and all are there after a Flush.
func TestLineWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newSlowWriter()
		w := newLineWriter(slow)
		first := make(chan error, 1)
		go func() { _, err := w.Write([]byte("first\n")); first <- err }()
		<-slow.entered
		want := []string{"first"}
		for i := range 100 {
			line := fmt.Sprint("line ", i)
			if n, err := w.Write([]byte(line + "\n")); n != len(line)+1 || err != nil {
				t.Fatal(n, err)
			}
			want = append(want, line)
		}
		close(slow.letGo)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if got := strings.Fields(strings.ReplaceAll(slow.String(), "line ", "line")); len(got) != 101 || slow.writes != 2 {
			t.Errorf("%d lines in %d writes", len(got), slow.writes)
		}
		if got := strings.Split(strings.TrimSpace(slow.String()), "\n"); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// TestLineWriterIsFull bounds what waits.
func TestLineWriterIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newSlowWriter()
		w := newLineWriter(slow)
		line := bytes.Repeat([]byte("x"), 1<<10)
		for range maxPending/len(line) + 2 {
			go func() { _, _ = w.Write(line) }()
			synctest.Wait()
		}
		if len(w.pending) != maxPending {
			t.Errorf("%d bytes wait, want %d", len(w.pending), maxPending)
		}
		close(slow.letGo)
		synctest.Wait()
		if want := (maxPending/len(line) + 2) * len(line); slow.Len() != want {
			t.Errorf("%d bytes written, want %d", slow.Len(), want)
		}
	})
}

// TestLineWriterFails goes on when the disk is no longer full.
func TestLineWriterFails(t *testing.T) {
	slow := newSlowWriter()
	close(slow.letGo)
	w := newLineWriter(slow)
	for _, want := range []error{errors.New("no space left on device"), nil} {
		slow.err = want
		if _, err := w.Write([]byte("x\n")); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if slow.String() != "x\n" {
		t.Errorf("got %q", slow.String())
	}
}

//go:build unix

package inputfile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	return name
}

func TestPipeWithoutWriter(t *testing.T) {
	if _, err := openPipe(t.Context(), fifo(t), 50*time.Millisecond); err != ErrNoWriter {
		t.Errorf("got %v, want %v", err, ErrNoWriter)
	}
}

func TestPipe(t *testing.T) {
	name, text := fifo(t), "first\nsecond\n"
	go func() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0) // waits for who reads
		if err == nil {
			_, _ = f.WriteString(text)
			f.Close()
		}
	}()
	r, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whoever holds a pipe open and writes nothing is waited for, until a signal.
func TestPipeOfSilentWriterEndsWithContext(t *testing.T) {
	name := fifo(t)
	writer, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := openPipe(ctx, name, time.Millisecond)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	if _, err := writer.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	r, err := Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, err := io.ReadAll(r)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("reading on: %v", err)
	}
}

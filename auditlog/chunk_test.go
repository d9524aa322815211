package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

const oneEvent = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"%s","stage":"ResponseComplete","requestURI":"/%s","verb":"get","user":{"username":"system:serviceaccount:a:b"},"sourceIPs":["10.0.0.1"],"responseStatus":{"metadata":{},"code":%d},"requestReceivedTimestamp":"2026-11-22T04:11:41.133602Z","stageTimestamp":"2026-11-22T04:11:41.133602Z"}` + "\n"

// large is a log of several chunks, with lines of all lengths, one of them
// longer than a chunk, one bad.
func large() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 9<<20; i++ {
		uri := strings.Repeat("x", i*37%3000)
		switch i {
		case 500:
			uri = strings.Repeat("y", 3<<20)
		case 2500:
			uri = strings.Repeat("z", 200<<10)
		case 3000:
			b.WriteString("not an event\n")
		}
		fmt.Fprintf(&b, oneEvent, fmt.Sprintf("e%d", i), uri, 200+i%2*201)
	}
	return b.Bytes()
}

func ids(t *testing.T, o Options, src Source) ([]string, Stats) {
	t.Helper()
	var mu sync.Mutex
	var out []string
	stats, err := Scan(context.Background(), []Source{src}, o, func(events []Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			out = append(out, string(e.AuditID))
		}
	})
	if err != nil || len(stats) != 1 {
		t.Fatal(err, stats)
	}
	slices.Sort(out)
	return out, stats[0]
}

// TestChunks: a file that is read in chunks gives what its text gives in one run.
func TestChunks(t *testing.T) {
	text := large()
	name := filepath.Join(t.TempDir(), "audit.log")
	for _, end := range []int{len(text), len(text) - 1, len(text) - 100, 4*chunkSize + 1, 4 * chunkSize} {
		if err := os.WriteFile(name, text[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Options{{}, {Strict: true}, {MarksOnly: true}, {Workers: 4}} {
			want, w := ids(t, o, Reader("x", bytes.NewReader(text[:end])))
			got, g := ids(t, o, Path(name))
			w.Name, g.Name = "", ""
			if !o.MarksOnly { // what is passed over is not counted
				w.Skipped, g.Skipped = false, false
			}
			if o.MarksOnly {
				w.Skipped, g.Skipped, w.Long, g.Long = false, false, 0, 0
			}
			if !slices.Equal(got, want) || g != w {
				t.Errorf("%d bytes, %+v: %d events, want %d; %+v, want %+v", end, o, len(got), len(want), g, w)
			}
		}
	}
}

// TestShrunkFile: a log that is cut off while it is read, as logrotate's
// copytruncate does, ends the reading of that file and nothing else.
func TestShrunkFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	text := large()
	if err := os.WriteFile(name, text[:chunkSize/2], 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &scan{known: newSenders(), sink: func([]Event) {}}
	st := &stream{perText: make([]int32, 4), bad: map[int]badLine{}}
	var wg sync.WaitGroup
	for seq := range 2 {
		wg.Add(1)
		var buf []byte
		from := int64(seq) * chunkSize
		s.decodeChunk(&chunk{st, f, int64(len(text)), from, from + chunkSize, &wg}, s.decoder(), &buf)
	}
	if !errors.Is(st.stats.Err, errShrunk) {
		t.Errorf("err %v on %s", st.stats.Err, runtime.GOOS)
	}
}

// TestRotatedFile: a log that is renamed while it is read, with a new one in its
// place, is read to the end of what was opened, and nothing of the new one.
func TestRotatedFile(t *testing.T) {
	text := large()
	for _, size := range []int{len(text), chunkSize / 2} { // in chunks, and in one run
		name := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(name, text[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		want, _ := ids(t, Options{}, Path(name))
		rotated := false
		rotate := func() error {
			if rotated {
				return nil
			}
			rotated = true
			if err := os.Rename(name, name+".1"); err != nil {
				return err
			}
			return os.WriteFile(name, fmt.Appendf(nil, oneEvent, "new", "", 200), 0o600)
		}
		got, stats := ids(t, Options{}, rotating{Path(name), rotate})
		if runtime.GOOS == "windows" && stats.Err != nil {
			t.Skipf("a file that is open can't be renamed there: %v", stats.Err)
		}
		if !rotated || stats.Err != nil || !slices.Equal(got, want) {
			t.Errorf("%d bytes: rotated %v, %d events, want %d, err %v", size, rotated, len(got), len(want), stats.Err)
		}
	}
}

// rotating is a source of files that are rotated as soon as they are open.
type rotating struct {
	Source
	rotate func() error
}

func (r rotating) Streams(ctx context.Context, yield func(Stream) error) error {
	return r.Source.Streams(ctx, func(s Stream) error {
		open := s.Open
		s.Open = func() (io.ReadCloser, error) {
			f, err := open()
			if err == nil {
				err = r.rotate()
			}
			return f, err
		}
		return yield(s)
	})
}

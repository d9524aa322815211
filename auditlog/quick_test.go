package auditlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// realLines are the lines of a real API server's log.
func realLines(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "examples", "audit-kube-apiserver-1.35.4.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for sc := bufio.NewScanner(z); sc.Scan(); {
		out = append(out, bytes.Clone(sc.Bytes()))
	}
	return out
}

// agree holds the quick ways against the general one.
func agree(t *testing.T, line []byte) (quickOK, usualOK bool) {
	t.Helper()
	d := &decoder{strict: true}
	err := d.line(line)
	for name, way := range map[string]func([]byte, *Event) bool{"quick": quick, "usual": usual} {
		var ev Event
		if !way(line, &ev) {
			continue
		}
		if name == "quick" {
			quickOK = true
		} else {
			usualOK = true
		}
		if name == "quick" && err != nil {
			continue // damaged where quick does not look
		}
		if err != nil || len(d.events) != 1 {
			t.Errorf("%s takes what the general walk does not (%v, %d events): %s", name, err, len(d.events), line)
			continue
		}
		if got, want := asText(ev), asText(d.events[0]); got != want {
			t.Errorf("%s: %s, want %s: %s", name, got, want, line)
		}
	}
	return quickOK, usualOK
}

func asText(e Event) string {
	v := reflect.ValueOf(e)
	s := e.Time.String()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice {
			s += "|" + string(f.Bytes())
		}
	}
	return s + string(rune('0'+e.Code%10))
}

// TestQuickIsRight: on a real log the quick ways say what the general one says,
// and they are the ways that nearly all lines take.
func TestQuickIsRight(t *testing.T) {
	lines := realLines(t)
	q, u := 0, 0
	for _, line := range lines {
		quickOK, usualOK := agree(t, line)
		if quickOK {
			q++
		}
		if usualOK {
			u++
		}
	}
	if u < len(lines)*95/100 {
		t.Errorf("only %d of %d lines are usual", u, len(lines))
	}
	if q == 0 {
		t.Error("no line is read the quick way")
	}
}

// FuzzQuick: whatever the quick ways take, the general walk reads the same.
func FuzzQuick(f *testing.F) {
	seen := map[bool]int{}
	for _, line := range realLines(f) {
		var ev Event
		if ok := quick(line, &ev); seen[ok] < 5 {
			seen[ok]++
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 || !bytes.Equal(trim(line), line) {
			return
		}
		agree(t, line)
	})
}

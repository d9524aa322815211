package auditlog_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/kubecred/kubecred/auditlog"
)

func utf16le(s string) string {
	var b bytes.Buffer
	for _, c := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(c))
		b.WriteByte(byte(c >> 8))
	}
	return b.String()
}

func packedGzip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// tarOf is an archive of files, with what macOS and folders add to one.
func tarOf(files ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h *tar.Header, s string) {
		h.Size = int64(len(s))
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		io.WriteString(w, s)
	}
	put(&tar.Header{Name: "logs/", Typeflag: tar.TypeDir, Mode: 0o755}, "")
	for i, s := range files {
		put(&tar.Header{Name: fmt.Sprintf("logs/._%d.log", i), Mode: 0o644}, "Mac OS X resource")
		put(&tar.Header{Name: fmt.Sprintf("logs/%d.log", i), Mode: 0o644}, s)
	}
	w.Close()
	return b.String()
}

func zipOf(files ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, s := range files {
		f, err := w.Create(fmt.Sprintf("logs/%d.log", i))
		if err != nil {
			panic(err)
		}
		io.WriteString(f, s)
	}
	w.Close()
	return b.String()
}

func fileOf(t *testing.T, data string) auditlog.Source {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return auditlog.Path(name)
}

// TestArchives: an archive is the files in it, and what is wrong in one of them
// is said with its name.
func TestArchives(t *testing.T) {
	a, b := event("a"), event("b")+"\nnonsense\n"
	for name, in := range map[string]string{"tar": tarOf(a, b), "tar.gz": packedGzip(tarOf(a, b)), "zip": zipOf(a, b), "zip of gzip": zipOf(packedGzip(a), b)} {
		ids, _, stats := collect(t, auditlog.Options{}, fileOf(t, in))
		if s := stats[0]; !slices.Equal(ids, []string{"a", "b"}) || len(stats) != 1 || s.Events != 2 || s.Corrupt != 1 || s.BadLine != 2 || s.BadReason != "not JSON, in logs/1.log" || s.Err != nil {
			t.Errorf("%s: %q, %+v", name, ids, stats)
		}
	}
	// A large one is not taken for text.
	if ids, _, stats := collect(t, auditlog.Options{}, fileOf(t, tarOf(strings.Repeat(event("a")+"\n", 5000)))); len(ids) != 5000 || stats[0].Corrupt > 0 {
		t.Errorf("%d events, %+v", len(ids), stats)
	}
	if ids, _, stats := collect(t, auditlog.Options{}, fileOf(t, utf16le("\ufeff"+strings.Repeat(event("a")+"\r\n", 5000)))); len(ids) != 5000 || stats[0].Corrupt > 0 {
		t.Errorf("%d events, %+v", len(ids), stats)
	}
}

// TestForeign: what can't be read is said, with what to do.
func TestForeign(t *testing.T) {
	deep := tarOf(event("a"))
	for range 4 {
		deep = tarOf(deep)
	}
	locked := []byte(zipOf(event("a")))
	locked[6] |= 1
	locked[bytes.Index(locked, []byte("PK\x01\x02"))+8] |= 1
	for name, tt := range map[string]struct{ in, want string }{
		"xz":            {"\xfd7zXZ\x00\x00\x04", "xz data, which is not read here: unpack it first: xz -dc FILE | kubecred tokens scan -"},
		"7z":            {"7z\xbc\xaf\x27\x1c\x00", "7z data, which is not read here: unpack it first: 7z x -so FILE | kubecred tokens scan -"},
		"Parquet":       {"PAR1\x15\x04", "a Parquet file, which is not read here: export the log as JSON lines"},
		"xz in tar":     {tarOf("\xfd7zXZ\x00\x00\x04"), "0.log in it: xz data, which is not read here: unpack it first: xz -dc FILE | kubecred tokens scan -"},
		"deep":          {deep, "0.log in it: 0.log in it: 0.log in it: an archive within too many others"},
		"locked":        {string(locked), "0.log in it: it is encrypted: unpack the archive first"},
		"half a zip":    {zipOf(event("a"))[:300], "the zip data is damaged: zip: not a valid zip file"},
		"half a tar":    {tarOf(event("a"))[:2100], "0.log in it: unexpected EOF"},
		"half a tar.gz": {packedGzip(tarOf(event("a")))[:400], "0.log in it: the gzip data ends too early: unexpected EOF"},
		"odd UTF-16":    {utf16le("\ufeff" + event("a"))[:301], "unexpected EOF"},
	} {
		_, _, stats := collect(t, auditlog.Options{}, fileOf(t, tt.in))
		if got := stats[0].Reason(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	_, _, stats := collect(t, auditlog.Options{}, text(zipOf(event("a"))))
	if want := "a zip archive, which can be read from a file only: save it, and give the file's name"; stats[0].Reason() != want {
		t.Errorf("from a pipe: %q", stats[0].Reason())
	}
}

package auditlog

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/kubecred/kubecred/internal/utf16text"
)

// maxNested bounds how many archives may be inside one another.
const maxNested = 3

// peeked is how many of a stream's first bytes tell what it is. The magic of a
// tar file stands at its byte 257.
const peeked = 512

// content reads what a stream holds once it is unpacked: text, or an archive of
// files.
func (s *scan) content(ctx context.Context, st *stream, r io.Reader, depth int) error {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 4<<10) // large reads pass it by
	}
	head, _ := br.Peek(peeked) // what is wrong is met again where it is read
	switch kind := packing(head); kind {
	case "tar":
		return s.tar(ctx, st, br, depth)
	case "UTF-16":
		return s.cut(ctx, st, utf16text.NewReader(br, utf16text.Order(head)))
	case "gzip", "zstd", "bzip2", "snappy": // packed twice, and text all the same
	default:
		if err := foreign(kind); err != nil {
			return err
		}
	}
	return s.cut(ctx, st, br)
}

// tar reads the files of a tar archive one after the other.
func (s *scan) tar(ctx context.Context, st *stream, r io.Reader, depth int) error {
	if depth == maxNested {
		return errors.New("an archive within too many others")
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, tar.ErrHeader):
			return fmt.Errorf("the tar data is damaged: %w", err)
		case err != nil:
			return err
		}
		if h.Typeflag == tar.TypeReg && !hiddenFile(h.Name) {
			if err := s.member(ctx, st, h.Name, t, depth); err != nil {
				return fmt.Errorf("%s in it: %w", path.Base(h.Name), err)
			}
		}
	}
}

// zip reads the files of a zip archive. It reports false where the file is none.
func (s *scan) zip(ctx context.Context, st *stream, f io.Reader) (bool, error) {
	file, ok := f.(*os.File)
	if !ok {
		return false, nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	head := make([]byte, 4)
	if n, _ := file.ReadAt(head, 0); packing(head[:n]) != "zip" {
		return false, nil
	}
	z, err := zip.NewReader(file, info.Size())
	if err != nil {
		return true, fmt.Errorf("the zip data is damaged: %w", err)
	}
	for _, m := range z.File {
		if m.FileInfo().Mode().IsRegular() && !hiddenFile(m.Name) {
			if err := s.zipMember(ctx, st, m); err != nil {
				return true, fmt.Errorf("%s in it: %w", path.Base(m.Name), err)
			}
		}
	}
	if s.done != nil {
		s.done.Add(info.Size())
	}
	return true, nil
}

func (s *scan) zipMember(ctx context.Context, st *stream, m *zip.File) error {
	if m.Flags&1 != 0 {
		return errors.New("it is encrypted: unpack the archive first")
	}
	r, err := m.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return s.member(ctx, st, m.Name, r, 0)
}

// member reads one file of an archive, in a stream of its own, whose counts
// become part of the archive's.
func (s *scan) member(ctx context.Context, st *stream, name string, r io.Reader, depth int) error {
	part := &stream{Stream: Stream{Name: name}, stats: Stats{Name: name}, bad: map[int]badLine{}}
	st.mu.Lock()
	st.parts = append(st.parts, part)
	st.mu.Unlock()
	in, done, err := unpack(r)
	if err != nil {
		return err
	}
	defer done()
	return s.content(ctx, part, in, depth+1)
}

// hiddenFile tells names that a folder's walk would pass over too, such as the
// "._NAME" that macOS puts beside each file.
func hiddenFile(name string) bool { return strings.HasPrefix(path.Base(name), ".") }

// join adds what was met in a member to what was met in its archive.
func (s *Stats) join(part Stats) {
	s.Bytes += part.Bytes
	s.Events += part.Events
	s.Other += part.Other
	s.Truncated += part.Truncated
	s.Corrupt += part.Corrupt
	s.Long += part.Long
	s.Skipped = s.Skipped || part.Skipped
	s.Shapes |= part.Shapes
	if !part.First.IsZero() && (s.First.IsZero() || part.First.Before(s.First)) {
		s.First = part.First
	}
	if part.Last.After(s.Last) {
		s.Last = part.Last
	}
	if s.BadReason == "" && part.BadReason != "" {
		s.BadLine, s.BadReason = part.BadLine, part.BadReason+", in "+part.Name
	}
}

// foreign is the error of what is known and can't be read, nil for the rest.
func foreign(kind string) error {
	how, ok := map[string]string{
		"xz": "xz -dc", "lz4": "lz4 -dc", "lzip": "lzip -dc", "compress": "uncompress -c", "7z": "7z x -so",
	}[kind]
	switch {
	case ok:
		return fmt.Errorf("%s data, which is not read here: unpack it first: %s FILE | kubecred tokens scan -", kind, how)
	case kind == "zip":
		return errors.New("a zip archive, which can be read from a file only: save it, and give the file's name")
	case kind == "RAR" || kind == "Parquet":
		return fmt.Errorf("a %s file, which is not read here: export the log as JSON lines", kind)
	}
	return nil
}

// magic is how files begin that are no text. What may stand in another place is
// told by packing itself.
var magic = []struct{ kind, head string }{
	{"gzip", "\x1f\x8b"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"snappy", "\xff\x06\x00\x00sNaPpY"},
	{"UTF-16", "\xff\xfe"}, {"UTF-16", "\xfe\xff"},
	{"zip", "PK\x03\x04"}, {"zip", "PK\x05\x06"},
	{"xz", "\xfd7zXZ\x00"}, {"lz4", "\x04\x22\x4d\x18"}, {"lzip", "LZIP"}, {"compress", "\x1f\x9d"},
	{"7z", "7z\xbc\xaf\x27\x1c"}, {"RAR", "Rar!\x1a\x07"}, {"Parquet", "PAR1"},
}

// packing tells what is to be undone, by the first bytes: "" for nothing.
func packing(head []byte) string {
	if len(head) > 0 && (head[0] == '{' || head[0] == '[') && (len(head) < 2 || head[1] != 0) {
		return ""
	}
	for _, m := range magic {
		if bytes.HasPrefix(head, []byte(m.head)) {
			return m.kind
		}
	}
	switch {
	case len(head) >= 4 && bytes.HasPrefix(head, []byte("BZh")) && head[3] >= '1' && head[3] <= '9':
		return "bzip2"
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return "tar"
	case utf16text.Order(head) != nil:
		return "UTF-16"
	}
	return ""
}

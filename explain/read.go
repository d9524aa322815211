package explain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
	"github.com/kubecred/kubecred/internal/utf16text"
)

// The bounds of what is held in memory of one input.
const (
	maxWhole = 4 << 20 // read whole up to here, sampled beyond
	maxLine  = 1 << 20 // a longer line is cut around its marks
)

// ErrBinary says that an input is no text.
var ErrBinary = errors.New("not text")

// ErrCompressed says that an input is packed.
var ErrCompressed = errors.New("compressed: unpack it first, or give an audit log to 'kubecred tokens scan', which reads it packed")

// Text is one input made readable.
type Text struct {
	// Name is what the person called the input.
	Name string
	// Lines hold no line end and no control character but tabs.
	Lines []string
	// Size is the number of bytes that were read, Sampled tells that only the
	// lines with a mark were kept of them.
	Size    int64
	Sampled bool

	numbers []int // the line numbers of a sampled text, or one put together
	width   int   // at which a text was broken that is put together here
	changed []string
}

// Notes says what was undone to make the text readable: "UTF-16",
// "colour codes", "HTML", "sampled".
func (t *Text) Notes() []string { return t.changed }

// Number returns the line number in the input of Lines[i].
func (t *Text) Number(i int) int {
	if t.numbers != nil {
		return t.numbers[i]
	}
	return i + 1
}

// where returns the place of the i-th line and the column of byte offset off.
func (t *Text) where(i, off int) finding.Where {
	line := t.Lines[i]
	if off > len(line) {
		off = len(line)
	}
	w := finding.Where{File: t.Name, Line: t.Number(i), Column: utf8.RuneCountInString(line[:off]) + 1}
	if t.width > 0 && w.Column > t.width {
		w.Line += (w.Column - 1) / t.width
		w.Column = (w.Column-1)%t.width + 1
	}
	return w
}

// show returns the line at a place as it may be shown, without secrets. The lines
// that were made so before are kept in clean, as many causes have the same place.
func (t *Text) show(w finding.Where, clean map[int]string) string {
	i := w.Line - 1
	if t.numbers != nil {
		var ok bool
		if i, ok = slices.BinarySearch(t.numbers, w.Line); !ok {
			if t.width == 0 || i == 0 {
				return ""
			}
			i--
			w.Column += (w.Line - t.numbers[i]) * t.width
		}
	}
	if i < 0 || i >= len(t.Lines) {
		return ""
	}
	whole, ok := clean[i]
	if !ok {
		// A secret is known by what stands before it, at times on the line before.
		near := Redacted(strings.Join(t.Lines[max(0, i-2):i+1], "\n"))
		whole = near[strings.LastIndexByte(near, '\n')+1:]
		clean[i] = whole
	}
	line := []rune(whole)
	if len(line) > shownLine && w.Column > shownLine/2 {
		line = line[min(w.Column-shownLine/4, len(line)-1):]
	}
	return shorten(strings.TrimSpace(string(line)), shownLine)
}

// shownLine is how many characters of a line are shown.
const shownLine = 160

// NewText makes a text of a string, such as an argument.
func NewText(name, s string) (*Text, error) { return Read(name, strings.NewReader(s)) }

// Read reads an input. Up to 4 MiB are held; of more, the lines on which a rule
// has a mark are kept, within the same bound. An error is one line: ErrBinary,
// ErrCompressed or the reader's own.
func Read(name string, r io.Reader) (*Text, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	t := &Text{Name: name}
	head, _ := br.Peek(4096)
	if len(head) > 2 && (head[0] == 0x1f && head[1] == 0x8b || bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f}) || bytes.HasPrefix(head, []byte("PK\x03\x04"))) {
		return nil, fmt.Errorf("%s: %w", name, ErrCompressed)
	}
	var in io.Reader = br
	if order := utf16text.Order(head); order != nil {
		in = cut{utf16text.NewReader(br, order)}
		t.changed = append(t.changed, "UTF-16")
	} else if isBinary(head) {
		return nil, fmt.Errorf("%s: %w: give the text of an error, a file or a log", name, ErrBinary)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxWhole+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t.Size = int64(len(data))
	if len(data) > maxWhole {
		if err := t.sample(data, in); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.changed = append(t.changed, "sampled")
		return t, nil
	}
	if isBinary(data) {
		return nil, fmt.Errorf("%s: %w: give the text of an error, a file or a log", name, ErrBinary)
	}
	t.clean(string(data))
	return t, nil
}

// clean undoes what a terminal, a browser or Windows put around a text.
func (t *Text) clean(s string) {
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	if out := stripColours(s); out != s {
		s = out
		t.changed = append(t.changed, "colour codes")
	}
	if looksLikeHTML(s) {
		s = stripHTML(s)
		t.changed = append(t.changed, "HTML")
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u00a0' || r == '\u2007' || r == '\u202f':
			return ' '
		case r == '\u200b' || r == '\u200c' || r == '\u200d' || r == '\u2060' || r == '\ufeff':
			return -1
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	t.Lines = strings.Split(s, "\n")
	if m := namedFile().FindStringSubmatch(t.Lines[0]); m != nil && len(t.Lines) > 2 {
		t.Lines[0] = m[1] // no YAML with the name before it
	}
}

// namedFile is the first line of a file with its name put before it, as people
// do who paste several things: "kubeconfig: apiVersion: v1".
var namedFile = lazyexp.New(`^[A-Za-z][\w.-]{1,24}: ((?:apiVersion|kind|clusters|contexts|users|data|metadata|providers|mapRoles|mapUsers): ?.*)$`)

var (
	escapes = lazyexp.New(`\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]`)
	// bareColour is a colour code whose escape character a web page has eaten.
	bareColour = lazyexp.New(`\[(?:0|1|2|4|7|3[0-9]|9[0-7]|[01];[349][0-9]|38;5;\d{1,3})m`)
)

func stripColours(s string) string {
	if strings.Contains(s, "\x1b") {
		s = escapes().ReplaceAllString(s, "")
	}
	if len(bareColour().FindAllStringIndex(s, 2)) == 2 {
		s = bareColour().ReplaceAllString(s, "")
	}
	return s
}

var (
	htmlTag   = lazyexp.New(`(?s)<!--.*?-->|</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>|<![a-zA-Z][^<>]*>`)
	htmlBreak = lazyexp.New(`(?i)<br\s*/?>`)
	htmlBlock = lazyexp.New(`(?is)<(script|style|head)\b.*?</(?:script|style|head)>`)
	htmlSign  = lazyexp.New(`(?i)<!doctype html|<html[ >]|</(?:div|span|pre|code|p|td|li|body)>`)
)

func looksLikeHTML(s string) bool {
	return strings.Contains(s, "<") && len(htmlSign().FindAllStringIndex(s, 2)) == 2
}

// stripHTML takes the tags out and keeps the line ends between them, so that
// places stay right.
func stripHTML(s string) string {
	keepLines := func(m string) string { return strings.Repeat("\n", strings.Count(m, "\n")) }
	s = htmlBlock().ReplaceAllStringFunc(s, keepLines)
	s = htmlBreak().ReplaceAllString(s, "\n")
	s = htmlTag().ReplaceAllStringFunc(s, keepLines)
	return html.UnescapeString(s)
}

// isBinary tells whether the bytes are no text: they hold a NUL, or more than
// a tenth of them is neither printable nor white space.
func isBinary(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return true
	}
	bad, n := 0, 0
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 && len(b) >= utf8.UTFMax {
			bad++
		} else if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != 0x1b && r != '\b' && r != '\f' && r != 7 {
			bad++
		}
		n++
		b = b[size:]
	}
	return bad*10 > n
}

// cut reads what is cut off as if it ended there.
type cut struct{ io.Reader }

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}

package kubeconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// MaxSize is the largest kubeconfig that is read, in bytes. A file of ten
// thousand contexts with certificates stays far below it.
const MaxSize = 64 << 20

// SyntaxError says that the text of a file can't be read as a kubeconfig.
type SyntaxError struct {
	// Line and Column count from 1; 0 where they are not known.
	Line, Column int
	// Reason is a phrase without the place, and holds nothing of the file's values.
	Reason string
}

func (e *SyntaxError) Error() string {
	switch {
	case e.Line > 0 && e.Column > 0:
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return e.Reason
}

// ErrEmpty says that a file holds no YAML document at all. A client takes such a
// file as a kubeconfig without entries.
var ErrEmpty = errors.New("empty: it holds no kubeconfig")

// File is a kubeconfig with the places of its values.
type File struct {
	// Name is the path as the person typed it.
	Name string
	// Data is the text.
	Data []byte
	// Documents counts the YAML documents; clients read the first only.
	Documents int

	APIVersion, Kind, CurrentContext Scalar

	Clusters []Cluster
	Users    []User
	Contexts []Context

	root  *yaml.Node
	lines []int // the offset at which each line begins
}

// Parse reads the text of a kubeconfig. The error is a *SyntaxError or ErrEmpty.
// Values of a wrong type are no error here: [Check] names them.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, &SyntaxError{Reason: fmt.Sprintf("larger than %d MiB, so it is no kubeconfig", MaxSize>>20)}
	}
	f := &File{Name: name, Data: data}
	if err := f.encoding(); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil, ErrEmpty
	case err != nil:
		return nil, f.syntaxError(err)
	}
	f.Documents = 1
	for {
		var next yaml.Node
		if err := decode(dec, &next); err != nil {
			break // a client never reads this far
		}
		f.Documents++
	}
	f.root = doc.Content[0]
	f.lines = lineStarts(data)
	if f.root.Kind == yaml.AliasNode {
		f.root = f.root.Alias
	}
	if f.root.Kind != yaml.MappingNode {
		if f.root.Kind == yaml.ScalarNode && f.root.ShortTag() == "!!null" {
			return nil, ErrEmpty
		}
		return nil, &SyntaxError{f.root.Line, f.root.Column, "not a kubeconfig: it holds " + kindName(f.root) + " where clusters, users and contexts should be"}
	}
	if err := f.bounded(); err != nil {
		return nil, err
	}
	f.model()
	return f, nil
}

// decode turns a panic of the YAML library into an error: it should not happen,
// and must not end the program over a broken file.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

// encoding refuses what is no text in UTF-8, with the place.
func (f *File) encoding() error {
	data := f.Data
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return &SyntaxError{1, 1, "written as UTF-16, as a redirection in Windows PowerShell does: save it as UTF-8"}
	}
	if utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 {
		return nil
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			f.lines = lineStarts(data[:i])
			line, column := f.lineColumn(i)
			return &SyntaxError{line, column, "not a text file: it holds bytes that are no UTF-8 text"}
		}
		i += size
	}
	return nil
}

var yamlLine = lazyexp.New(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError puts the YAML library's complaint into words that hold no value of
// the file, and finds the column where it can.
func (f *File) syntaxError(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	m := yamlLine().FindStringSubmatch(text)
	if m == nil {
		return &SyntaxError{Reason: "not valid YAML"}
	}
	line, _ := strconv.Atoi(m[1])
	reason := m[2]
	switch {
	case strings.Contains(reason, "cannot start any token"):
		f.lines = lineStarts(f.Data)
		for _, l := range []int{line, line + 1} {
			if text, ok := f.line(l); ok {
				if i := strings.IndexByte(text, '\t'); i >= 0 && strings.TrimLeft(text[:i], " -") == "" {
					return &SyntaxError{l, utf8.RuneCountInString(text[:i]) + 1, "not valid YAML: a tab where only spaces may stand"}
				}
			}
		}
		reason = "a character that no value may begin with"
	case strings.Contains(reason, "unknown anchor"):
		reason = "an alias (*name) whose anchor (&name) does not stand before it"
	case strings.Contains(reason, "exceeded max depth"):
		reason = "nested too deeply"
	case strings.Contains(reason, "control characters"):
		reason = "a control character"
	case strings.Contains(reason, "unexpected end of stream"), strings.Contains(reason, "while scanning a quoted scalar"):
		reason = "a quoted text that is never closed: the file may be cut off"
	case strings.Contains(reason, "did not find expected ',' or"):
		reason = "a list or mapping in brackets that is not closed: the file may be cut off"
	case strings.Contains(reason, "could not find expected ':'"):
		reason = "a key without a colon: the file may be cut off"
	case strings.Contains(reason, "mapping values are not allowed"):
		reason = "a colon where a value is already complete (wrong indentation, or a text that wants quotes)"
	}
	return &SyntaxError{Line: line, Reason: "not valid YAML: " + reason}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

package auditlog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// isTable tells whether text begins with the header of a table (CSV) that the
// console of a cloud or of a log engine exports: Logs Insights' @message,
// CloudWatch's message, Azure's log_s, the columns of AKSAudit, Splunk's _raw, ...
func isTable(text []byte) bool {
	_, comma := tableHeader(text)
	return comma != 0
}

// tableHeader returns the length of what stands before the header, and what
// stands between cells, 0 where the text is no table.
func tableHeader(text []byte) (before int, comma byte) {
	line := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	// PowerShell's Export-Csv writes a line "#TYPE NAME" first.
	if bytes.HasPrefix(line, []byte("#TYPE ")) {
		line = line[bytes.IndexByte(line, '\n')+1:]
	}
	before = len(text) - len(line)
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	if len(line) == 0 || len(line) > 8<<10 || line[0] == '{' || line[0] == '[' {
		return 0, 0
	}
	for _, comma := range []byte(",;\t") { // a spreadsheet's commas are its country's
		var names []string
		known := false
		for name := range bytes.SplitSeq(line, []byte{comma}) {
			name := columnKey(string(bytes.Trim(name, "\" \r")))
			switch name {
			case "@message", "log_s", "AuditId", "_raw", "_source", "_msg":
				known = true
			case "message", "line", "content", "log", "body", "textPayload":
				known = known || len(names) > 0 || bytes.IndexByte(line, comma) > 0
			}
			names = append(names, name)
		}
		if known || isInsights(names) {
			return before, comma
		}
	}
	return 0, 0
}

// columnKey returns the key of an envelope that a column is, where it is written
// in another way: Datadog begins its names with a capital, Grafana too.
func columnKey(name string) string {
	switch name {
	case "Message", "Content", "Line", "Log", "Body":
		return strings.ToLower(name)
	}
	return name
}

// rows reads the rows of a table, each no longer than maxEvent.
type rows struct {
	r     *bufio.Reader
	comma byte
	row   []string
	cell  []byte
	size  int
}

var errLong = errors.New("an event longer than 4 MiB")

// next returns the next row. Its cells are unquoted. After errLong the rows go
// on at the next line.
func (t *rows) next() ([]string, error) {
	t.row, t.cell, t.size = t.row[:0], t.cell[:0], 0
	quoted, any := false, false
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && any {
				t.end()
				return t.row, nil
			}
			return nil, err
		}
		if t.size++; t.size > maxEvent {
			for c != '\n' {
				if c, err = t.r.ReadByte(); err != nil {
					return nil, err
				}
			}
			return nil, errLong
		}
		any = true
		switch {
		case quoted && c == '"':
			if b, err := t.r.Peek(1); err == nil && b[0] == '"' {
				_, _ = t.r.Discard(1)
				t.cell = append(t.cell, '"')
			} else {
				quoted = false
			}
		case quoted:
			t.cell = append(t.cell, c)
		case c == '"' && len(t.cell) == 0:
			quoted = true
		case c == t.comma:
			t.end()
		case c == '\n':
			t.end()
			return t.row, nil
		case c != '\r':
			t.cell = append(t.cell, c)
		}
	}
}

func (t *rows) end() {
	t.row = append(t.row, string(t.cell))
	t.cell = t.cell[:0]
}

// table decodes a stream that is a table: each row is made an object, whose
// keys are the columns' names.
func (s *scan) table(st *stream, r io.Reader) error {
	t := &rows{r: bufio.NewReaderSize(r, 64<<10)}
	head, _ := t.r.Peek(16 << 10)
	before, comma := tableHeader(head)
	t.comma = comma
	_, _ = t.r.Discard(before)
	header, err := t.next()
	if err != nil {
		return err
	}
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strconv.Quote(columnKey(strings.TrimPrefix(name, "\xef\xbb\xbf")))
		if strings.Contains(name, "@message") {
			st.mu.Lock()
			st.stats.Shapes |= QueryResults
			st.mu.Unlock()
		}
	}
	d := s.decoder()
	var object []byte
	for {
		row, err := t.next()
		var got Stats
		switch {
		case errors.Is(err, errLong):
			got.Long++
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		default:
			object = object[:0]
			for i, cell := range row[:min(len(row), len(names))] {
				object = append(append(append(object, ','), names[i]...), ':')
				object = appendQuoted(object, cell)
			}
			object = append(object, '}')
			object[0] = '{'
			if len(row) == 1 && row[0] == "" {
				continue
			}
			if _, err := d.document(object, 0); err != nil {
				got.fault(err)
			}
			d.blame(0, func(_ int, err error) { got.fault(err) })
			got.Bytes = int64(t.size)
		}
		s.deliver(st, d, got)
		d.reset()
	}
}

// appendQuoted appends a string as JSON.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

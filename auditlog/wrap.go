package auditlog

import (
	"bytes"
	"encoding/base64"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Shape is a way in which a log keeps its events that leaves something out.
type Shape uint8

// The shapes of which a report should say what can't be known of them.
const (
	// GKEEntries are entries of Cloud Logging: no pod, no credential id.
	GKEEntries Shape = 1 << iota
	// AKSAdmin are logs of the category kube-audit-admin, without get and list.
	AKSAdmin
	// CloudWatch entries are cut at 256 KB.
	CloudWatch
	// InsightsRows are results of a query, which end at a limit.
	InsightsRows
	// InsightsColumns are such rows without the events themselves: of most, only
	// the account and the mark are known.
	InsightsColumns
)

// wrapped is a value of an envelope that may hold events.
type wrapped struct {
	key   string
	value []byte
}

// wrapKey returns how a key of an envelope is called, or "" if it is none:
//
//	items                   EventList
//	logEvents, message      CloudWatch subscription; Vector, Filebeat
//	events                  CloudWatch filter-log-events and get-log-events
//	results, value          CloudWatch Logs Insights
//	@message                Logs Insights, exported
//	data, awslogs, kinesis  Firehose, Kinesis and Lambda records: base64 and gzip
//	log, log_processed      Fluent Bit, Docker
//	log_s, properties       AzureDiagnostics rows; Azure Monitor to storage and Event Hubs
//	line                    Loki's logcli
//	MESSAGE                 journald, as journalctl -o json prints it
//	_source, hits           Elasticsearch and OpenSearch
//	_raw, result, event     Splunk
//	structured              OpenShift logging
//	body, stringValue ...   OpenTelemetry
func wrapKey(key []byte) string {
	switch string(key) {
	case "items", "logEvents", "message", "events", "results", "@message", "MESSAGE", "data", "awslogs", "kinesis", "records", "Records",
		"log", "log_processed", "log_s", "properties", "line", "_source", "hits", "_raw", "result", "event", "structured",
		"body", "stringValue", "resourceLogs", "scopeLogs", "logRecords", "jsonPayload", "textPayload":
		return string(key)
	}
	return ""
}

// unwrap decodes what an envelope holds and reports whether that was anything
// like events.
func (d *decoder) unwrap(values []wrapped, wraps int) (bool, error) {
	if wraps >= maxWraps {
		return false, nil
	}
	before, other := len(d.events), d.other
	for _, v := range values {
		var err error
		switch v.value[0] {
		case '{':
			_, err = d.document(v.value, wraps+1)
		case '[':
			if v.key != "data" {
				_, err = d.document(v.value, wraps+1)
			}
		case '"':
			err = d.packed(v.key, v.value, wraps+1)
		}
		if err != nil {
			return true, err
		}
	}
	if len(d.events) == before {
		d.other = other // the envelope counts, not what is in it
		return false, nil
	}
	if len(values) > 0 {
		switch values[0].key {
		case "logEvents", "awslogs":
			d.shapes |= CloudWatch
		}
	}
	return true, nil
}

// packed decodes a string of an envelope: an event as text, perhaps with a
// prefix, or base64 of gzip.
func (d *decoder) packed(key string, quoted []byte, wraps int) error {
	s := quoted[1 : len(quoted)-1]
	if key == "data" {
		d.base64(s, wraps) // what is no gzip is somebody else's data
		return nil
	}
	if i := bytes.IndexByte(s, '{'); i < 0 || i > maxPrefix {
		return nil // an ordinary log line
	}
	text, err := d.unescape(s)
	if err != nil {
		return err
	}
	return d.inner(text, wraps)
}

// inner decodes text that was a string in an envelope. A text that holds no
// audit event is no fault of the log.
func (d *decoder) inner(text []byte, wraps int) error {
	text = bytes.TrimSpace(text)
	if !d.strict {
		d.events = append(d.events, Event{})
		ev := &d.events[len(d.events)-1]
		if d.fast(text, d.parts(text), ev) {
			return nil
		}
		d.events = d.events[:len(d.events)-1]
	}
	i := bytes.IndexByte(text, '{')
	if i < 0 || i > maxPrefix {
		return nil
	}
	before := len(d.events)
	if _, err := d.document(text[i:], wraps); err != nil {
		d.events = d.events[:before]
		if bytes.Contains(text, []byte("audit.k8s.io")) {
			return err
		}
	}
	return nil
}

// maxUnpacked bounds what one packed record may hold: CloudWatch sends records
// of up to 1 MB, packed.
const maxUnpacked = 32 << 20

// base64 decodes a record that is base64 of gzip, or of plain JSON.
func (d *decoder) base64(s []byte, wraps int) bool {
	if bytes.IndexByte(s, '\\') >= 0 {
		s = bytes.ReplaceAll(s, []byte(`\/`), []byte("/"))
	}
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Decode(packed, s)
	if err != nil {
		return false
	}
	packed = packed[:n]
	if packing(packed) == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return false
		}
		if packed, err = io.ReadAll(io.LimitReader(z, maxUnpacked)); err != nil {
			return false
		}
	}
	ok := false
	for line := range bytes.Lines(packed) {
		for line = bytes.TrimSpace(line); len(line) > 0; {
			n, err := d.document(line, wraps)
			if err != nil {
				return ok
			}
			ok = true
			line = bytes.TrimLeft(line[n:], " \t\r\n,")
		}
	}
	return ok
}

// isBase64 tells whether a line is a packed record by itself: gzip's first
// bytes begin with H4sI in base64.
func isBase64(line []byte) bool { return bytes.HasPrefix(line, []byte("H4sI")) }

// unescape undoes the escapes of a string into memory that lives until the
// events are handed on.
func (d *decoder) unescape(s []byte) ([]byte, error) {
	start := len(d.text)
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			break
		}
		d.text = append(d.text, s[:i]...)
		if i+1 >= len(s) {
			return nil, errSyntax
		}
		c, used := s[i+1], 2
		switch c {
		case '"', '\\', '/':
		case 'n':
			c = '\n'
		case 't':
			c = '\t'
		case 'r':
			c = '\r'
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'u':
			// Runs of \u escapes are left to the general way, for their pairs.
			used = 0
			for j := i; j+6 <= len(s) && s[j] == '\\' && s[j+1] == 'u'; j += 6 {
				used += 6
			}
			out, err := unescape(s[i : i+used])
			if used == 0 || err != nil {
				return nil, errSyntax
			}
			d.text = append(d.text, out...)
			s = s[i+used:]
			continue
		default:
			return nil, errSyntax
		}
		d.text = append(d.text, c)
		s = s[i+used:]
	}
	d.text = append(d.text, s...)
	return d.text[start:len(d.text):len(d.text)], nil
}

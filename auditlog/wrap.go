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
	// QueryResults are what an engine answered to a query, which ends at a limit.
	QueryResults
	// InsightsColumns are such rows without the events themselves: of most, only
	// the account and the mark are known.
	InsightsColumns
	// JournalNulls are journalctl's objects whose longer texts are null.
	JournalNulls
)

// wrapped is a value of an envelope that may hold events.
type wrapped struct {
	key   string
	value []byte
}

// wrapKey returns how a key of an envelope is called, or "" if it is none:
//
//	items                       EventList
//	logEvents, message          CloudWatch subscription; Vector, Filebeat
//	events                      CloudWatch filter-log-events and get-log-events
//	results, value              CloudWatch Logs Insights
//	@message                    Logs Insights, exported
//	data, awslogs, kinesis      Firehose, Kinesis and Lambda records: base64 and gzip
//	log, log_processed          Fluent Bit, Docker
//	log_s, properties           AzureDiagnostics rows; Azure Monitor to storage and Event Hubs
//	tables, rows                Azure Monitor's query API, Kusto, SQL of OpenSearch
//	data, result, values        Loki's API
//	line                        Loki's logcli, Grafana
//	data, attributes            Datadog's API and archives
//	MESSAGE                     journald, as journalctl -o json prints it
//	msg, _msg                   rsyslog, VictoriaLogs
//	_source, hits, fields       Elasticsearch and OpenSearch
//	kubernetes, audit           Elastic's agent
//	original                    ECS' event.original
//	_raw, result, rows, event   Splunk
//	messages, map               Sumo Logic
//	structured                  OpenShift logging
//	body, stringValue ...       OpenTelemetry
//	content                     Datadog's and Alibaba's tables
func wrapKey(key []byte) string {
	switch string(key) {
	case "items", "logEvents", "message", "events", "results", "@message", "MESSAGE", "data", "awslogs", "kinesis", "records", "Records",
		"content", "log", "log_processed", "log_s", "properties", "tables", "Tables", "rows", "Rows", "datarows", "values", "streams", "line",
		"attributes", "msg", "_msg", "_source", "hits", "fields", "response", "rawResponse", "responses", "kubernetes", "audit", "original",
		"_raw", "result", "event", "messages", "map", "structured",
		"body", "stringValue", "resourceLogs", "scopeLogs", "logRecords", "jsonPayload", "textPayload":
		return string(key)
	}
	return ""
}

// holds tells whether the value of an envelope's key may hold events: some keys
// are of others too.
func (v wrapped) holds() bool {
	switch v.key {
	case "data":
		return v.value[0] != '[' || len(v.value) > 1 && bytes.IndexByte([]byte("{ \r\n"), v.value[1]) >= 0
	case "attributes", "fields":
		return v.value[0] == '{'
	case "kubernetes":
		return v.value[0] == '{' && bytes.Contains(v.value, []byte(`"audit"`))
	}
	return true
}

// shapeOf returns what a key of an envelope, in which events were found, tells of
// them.
func shapeOf(key string, value []byte) Shape {
	switch key {
	case "logEvents", "awslogs":
		return CloudWatch
	case "values", "hits", "responses", "results", "result", "tables", "Tables", "rows", "Rows", "datarows", "messages", "line":
		return QueryResults
	case "data":
		if value[0] != '"' {
			return QueryResults
		}
	}
	return 0
}

// unwrap decodes what an envelope holds and reports whether that was anything
// like events. columns are the names of a table's columns, if it is one.
func (d *decoder) unwrap(values []wrapped, columns []byte, wraps int) (bool, error) {
	if wraps >= maxWraps {
		return false, nil
	}
	before, faults := len(d.events), len(d.faults)
	for _, v := range values {
		if !v.holds() {
			continue
		}
		start, others := len(d.events), d.other
		var err error
		switch {
		case v.value[0] == 'n' && v.key == "MESSAGE":
			d.shapes |= JournalNulls
		case v.value[0] == '[' && v.key == "MESSAGE" && len(v.value) > 1 && v.value[1] != '"':
			d.inner(d.bytesOf(v.value), wraps+1)
		case v.value[0] == '[' && isRows(v.key):
			err = d.rows(columns, v.value, wraps+1)
		case v.value[0] == '{' || v.value[0] == '[':
			_, err = d.document(v.value, wraps+1)
		case v.value[0] == '"':
			err = d.packed(v.key, v.value, wraps+1)
		}
		if err != nil {
			return true, err
		}
		if len(d.events) > start {
			d.shapes |= shapeOf(v.key, v.value)
		} else {
			d.other = others // the envelope counts, not what is in it
		}
		d.once(before, start)
	}
	switch found := len(d.events) - before; {
	case found == 0:
		return len(d.faults) > faults, nil
	case found == 1 && len(values) > 1:
		d.faults = d.faults[:faults] // a text was cut whose event is there as an object
	}
	return true, nil
}

// once drops an event that an envelope holds twice, as text and taken apart: the
// events from start on are of its latest value.
func (d *decoder) once(before, start int) {
	if start-before != 1 || len(d.events)-start != 1 {
		return
	}
	first, second := &d.events[before], &d.events[start]
	if !bytes.Equal(first.AuditID, second.AuditID) || !bytes.Equal(first.Stage, second.Stage) {
		return
	}
	if len(first.Username) == 0 && len(first.Mark) == 0 {
		*first = *second
	}
	d.events = d.events[:start]
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
	d.inner(text, wraps)
	return nil
}

// inner decodes text that was a string in an envelope. A text that holds no
// audit event is no fault of the log, and one that holds a cut event none of what
// stands beside it.
func (d *decoder) inner(text []byte, wraps int) {
	text = bytes.TrimSpace(text)
	if !d.strict && d.fast(text, d.parts(text), nil) {
		return
	}
	i := opening(text)
	if i < 0 {
		return
	}
	before, other := len(d.events), d.other
	if _, err := d.document(text[i:], wraps); err != nil {
		d.events, d.other = d.events[:before], other
		if bytes.Contains(text, []byte("audit.k8s.io")) {
			d.faults = append(d.faults, err)
		}
	}
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

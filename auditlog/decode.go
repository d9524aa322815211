package auditlog

import (
	"bytes"
	"math"
	"strconv"
)

// decoder takes the documents of a stream apart and collects their events.
type decoder struct {
	events []Event
	// other counts JSON objects that are no audit event.
	other int64
	// strict takes the general walk for every event.
	strict bool
	// faults are why texts in envelopes were left out.
	faults []error
	// shapes that events were found in.
	shapes Shape
	// known senders, shared by all decoders of a scan.
	known *senders
	clock clock
	// agains are events that were read before, by the hash of their first part.
	agains *[agains / 2]pair
	habit  habit
	looked []parts // of the lines that are being decoded
	// fold, if set, lets events be left out. They are counted, with the first and the
	// last of their times, and what is left of them is in uses.
	fold        *Fold
	left        int64
	first, last int64
	uses        []Use
	near        uint64 // what was looked at only so that it is near
	// Where the user and the times of the event that quick read last begin.
	user, times int
	// fields of the row of a query's result that is being read.
	fields insights
	// text is where strings are unescaped to; events point into it.
	text []byte
}

// reset forgets the events that were handed on.
func (d *decoder) reset() {
	d.events, d.other, d.shapes, d.text, d.faults = d.events[:0], 0, 0, d.text[:0], d.faults[:0]
	d.left, d.first, d.last = 0, math.MaxInt64, math.MinInt64
}

// maxWraps bounds how many envelopes may be around an event.
const maxWraps = 8

// document decodes one JSON value at the start of b, an event or an envelope
// around events, and returns how many bytes it took. On an error the number is
// where the walk stopped.
func (d *decoder) document(b []byte, wraps int) (int, error) {
	w := walker{b: b}
	if w.peek() == '[' {
		err := w.array(func() error { return d.element(&w, wraps) })
		return w.i, err
	}
	err := d.object(&w, wraps)
	return w.i, err
}

// element decodes the element of a list of events at w.i.
func (d *decoder) element(w *walker, wraps int) error {
	switch w.peek() {
	case '{':
		return d.object(w, wraps)
	case '[':
		if w.isStamped() {
			return d.stamped(w, wraps)
		}
		if wraps < maxWraps {
			// A query's result is a list of rows, each a list of fields.
			before := d.fields
			d.fields = insights{}
			found := len(d.events)
			err := w.array(func() error { return d.element(w, wraps+1) })
			if err == nil && len(d.events) == found && d.columns(&d.fields) {
				d.other = max(0, d.other-1)
			}
			d.fields = before
			return err
		}
	case '"':
		s, err := w.value()
		if err == nil && wraps < maxWraps {
			err = d.packed("", s, wraps+1)
		}
		return err
	}
	d.other++
	return w.skip()
}

// object decodes the object at w.i.
func (d *decoder) object(w *walker, wraps int) error {
	var ev Event
	var row azure
	var query insights
	var kind, apiVersion, received, staged []byte
	var payload, labels, operation, timestamp, insertID, field, columns []byte
	var values []wrapped
	control := false
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "kind":
			kind, err = w.strOr()
		case "apiVersion":
			apiVersion, err = w.strOr()
		case "auditID":
			ev.AuditID, err = w.strOr()
		case "stage":
			ev.Stage, err = w.strOr()
		case "user":
			err = user(w, &ev)
		case "sourceIPs":
			if w.peek() == '"' { // of an event whose keys were made flat
				query.SourceIP, err = w.str()
				return err
			}
			ev.SourceIP, err = w.first()
		case "userAgent":
			ev.UserAgent, err = w.strOr()
		case "responseStatus":
			err = status(w, &ev)
		case "requestReceivedTimestamp":
			received, err = w.strOr()
		case "stageTimestamp":
			staged, err = w.strOr()
		case "annotations":
			err = annotations(w, &ev)
		case "messageType":
			var s []byte
			s, err = w.strOr()
			control = string(s) == "CONTROL_MESSAGE"
		case "protoPayload", "protopayload_auditlog", "proto_payload":
			payload, err = w.value()
		case "labels":
			labels, err = w.value()
		case "operation":
			operation, err = w.value()
		case "timestamp":
			timestamp, err = w.strOr()
		case "insertId", "insert_id":
			insertID, err = w.strOr()
		case "field":
			field, err = w.strOr()
		case "value":
			if string(field) != "@message" {
				if to := d.fields.column(string(field)); to != nil {
					*to, err = w.strOr()
					return err
				}
				return w.skip()
			}
			var v []byte
			v, err = w.value()
			values = append(values, wrapped{"@message", v})
			d.shapes |= QueryResults
		default:
			known, rerr := d.azureRow(w, key, &row)
			if known || rerr != nil {
				return rerr
			}
			if to := query.column(string(key)); to != nil {
				*to, err = w.strOr()
				return err
			}
			name := wrapKey(key)
			if name == "" && !isColumns(key) {
				return w.skip()
			}
			var v []byte
			if v, err = w.value(); err != nil {
				return err
			}
			if name != "" {
				values = append(values, wrapped{name, v})
			}
			if isColumns(key) {
				columns = v
			}
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case len(ev.AuditID) > 0 && len(ev.Stage) > 0 && isAudit(kind, apiVersion):
		query.flat(&ev)
		return d.add(ev, received, staged)
	case control, len(field) > 0 && len(values) == 0:
		return nil // a message of CloudWatch itself, another column of a query's result
	case len(row.AuditID) > 0 && len(row.Stage) > 0:
		return d.add(row.Event, row.received, row.staged)
	case len(payload) > 0 && payload[0] == '{':
		if ok, err := d.googleEntry(payload, labels, operation, timestamp, insertID); ok || err != nil {
			return err
		}
	}
	query.AuditID, query.UserAgent = ev.AuditID, ev.UserAgent
	if d.columns(&query) {
		return nil
	}
	found, err := d.unwrap(values, columns, wraps)
	if !found && err == nil {
		d.other++
	}
	return err
}

// isAudit tells an audit event from other objects. The items of an EventList
// carry neither kind nor version.
func isAudit(kind, apiVersion []byte) bool {
	return (len(kind) == 0 || string(kind) == "Event") &&
		(len(apiVersion) == 0 || bytes.HasPrefix(apiVersion, []byte("audit.k8s.io/")))
}

func (d *decoder) add(ev Event, received, staged []byte) error {
	t, ok := parseTime(received)
	if !ok {
		if t, ok = parseTime(staged); !ok {
			return errNoTime
		}
	}
	ev.Time = t
	d.events = append(d.events, ev)
	return nil
}

// The last of several keys of one name counts, as in encoding/json.

func user(w *walker, ev *Event) error {
	ev.Username, ev.UserUID, ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = nil, nil, nil, nil, nil, nil
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(func(key []byte) (err error) {
		switch string(key) {
		case "username":
			ev.Username, err = w.strOr()
		case "uid":
			ev.UserUID, err = w.strOr()
		case "extra":
			ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = nil, nil, nil, nil
			to := [...]*[]byte{&ev.CredentialID, &ev.PodName, &ev.PodUID, &ev.NodeName}
			err = w.dotted(extraNames, func(i int) (err error) { *to[i], err = w.first(); return err })
		default:
			err = w.skip()
		}
		return err
	})
}

func status(w *walker, ev *Event) error {
	ev.Code = 0
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(func(key []byte) error {
		v, err := w.value()
		if err == nil && string(key) == "code" {
			ev.Code, _ = strconv.Atoi(string(v))
		}
		return err
	})
}

func annotations(w *walker, ev *Event) error {
	ev.Mark, ev.Issued = nil, nil
	to := [...]*[]byte{&ev.Mark, &ev.Issued}
	return w.dotted(noteNames, func(i int) (err error) { *to[i], err = w.strOr(); return err })
}

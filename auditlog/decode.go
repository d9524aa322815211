package auditlog

import (
	"bytes"
	"strconv"
)

// decoder takes the documents of a stream apart and collects their events.
type decoder struct {
	events []Event
	// other counts JSON objects that are no audit event.
	other int64
	// strict takes the general walk for every event.
	strict bool
}

// maxWraps bounds how many envelopes may be around an event.
const maxWraps = 5

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
	if w.peek() != '{' {
		d.other++
		return w.skip()
	}
	return d.object(w, wraps)
}

// object decodes the object at w.i.
func (d *decoder) object(w *walker, wraps int) error {
	var ev Event
	var kind, apiVersion, received, staged, items []byte
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
		case "items":
			items, err = w.value()
		default:
			err = w.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(ev.AuditID) > 0 && len(ev.Stage) > 0 && isAudit(kind, apiVersion) {
		return d.add(ev, received, staged)
	}
	if len(items) > 0 && items[0] == '[' && wraps < maxWraps {
		before := len(d.events)
		list := walker{b: items}
		err := list.array(func() error { return d.element(&list, wraps+1) })
		if err == nil && len(d.events) == before && string(kind) == "EventList" {
			d.other++
		}
		return err
	}
	d.other++
	return nil
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
	ev.Username, ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = nil, nil, nil, nil, nil
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(func(key []byte) (err error) {
		switch string(key) {
		case "username":
			ev.Username, err = w.strOr()
		case "extra":
			ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = nil, nil, nil, nil
			if w.peek() != '{' {
				return w.skip()
			}
			err = w.object(func(key []byte) error { return extra(w, ev, key) })
		default:
			err = w.skip()
		}
		return err
	})
}

// extra reads the keys of k8s.io/apiserver pkg/authentication/serviceaccount/util.go.
func extra(w *walker, ev *Event, key []byte) (err error) {
	switch string(key) {
	case "authentication.kubernetes.io/credential-id":
		ev.CredentialID, err = w.first()
	case "authentication.kubernetes.io/pod-name":
		ev.PodName, err = w.first()
	case "authentication.kubernetes.io/pod-uid":
		ev.PodUID, err = w.first()
	case "authentication.kubernetes.io/node-name":
		ev.NodeName, err = w.first()
	default:
		err = w.skip()
	}
	return err
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
	ev.Mark = nil
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(func(key []byte) (err error) {
		if string(key) == "authentication.k8s.io/stale-token" {
			ev.Mark, err = w.strOr()
			return err
		}
		return w.skip()
	})
}

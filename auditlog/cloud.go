package auditlog

import (
	"bytes"
	"strconv"
	"strings"
)

// azureRow reads a key of a row of Azure Monitor's tables AKSAudit and
// AKSAuditAdmin, whose columns are those of the event under other names
// (https://learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit).
// Columns of type dynamic come as objects or as strings of JSON.
func (d *decoder) azureRow(w *walker, key []byte, row *azure) (known bool, err error) {
	ev := &row.Event
	switch string(key) {
	case "AuditId":
		ev.AuditID, err = w.strOr()
	case "Stage":
		ev.Stage, err = w.strOr()
	case "User":
		err = d.dynamic(w, func(w *walker) error { return user(w, ev) })
	case "SourceIps":
		err = d.dynamic(w, func(w *walker) (err error) { ev.SourceIP, err = w.first(); return err })
	case "UserAgent":
		ev.UserAgent, err = w.strOr()
	case "ResponseStatus":
		err = d.dynamic(w, func(w *walker) error { return status(w, ev) })
	case "Annotations":
		err = d.dynamic(w, func(w *walker) error { return annotations(w, ev) })
	case "RequestReceivedTime":
		row.received, err = w.strOr()
	case "StageReceivedTime":
		row.staged, err = w.strOr()
	case "Type", "Category", "category":
		var s []byte
		if s, err = w.strOr(); string(s) == "AKSAuditAdmin" || string(s) == "kube-audit-admin" {
			d.shapes |= AKSAdmin
		}
	default:
		return false, nil
	}
	return true, err
}

// azure is a row while it is read.
type azure struct {
	Event
	received, staged []byte
}

// dynamic reads a value that is JSON, or a string of JSON.
func (d *decoder) dynamic(w *walker, read func(*walker) error) error {
	if w.peek() != '"' {
		return read(w)
	}
	s, _, err := w.raw()
	if err != nil {
		return err
	}
	text, err := d.unescape(s)
	if err != nil {
		return err
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil
	}
	return read(&walker{b: text})
}

// googleEntry decodes an entry of Google Cloud's logging that holds an audit
// log of the API server: its labels are the event's annotations, its
// operation's id is the audit id. Pods and credential ids are not in it. BigQuery
// has two shapes of such entries: with keys of its own, and in a log analytics'
// view with the payload a level deeper and the labels as text.
func (d *decoder) googleEntry(payload, labels, operation, timestamp, insertID []byte) (bool, error) {
	var ev Event
	var service []byte
	code, refused := 0, false
	w := walker{b: payload}
	var read func(key []byte) error
	read = func(key []byte) (err error) {
		switch string(key) {
		case "audit_log":
			err = fields(&w, read)
		case "serviceName", "service_name":
			service, err = w.strOr()
		case "authenticationInfo", "authentication_info":
			err = fields(&w, func(key []byte) (err error) {
				if string(key) == "principalEmail" || string(key) == "principal_email" {
					ev.Username, err = w.strOr()
					return err
				}
				return w.skip()
			})
		case "requestMetadata", "request_metadata":
			err = fields(&w, func(key []byte) (err error) {
				switch string(key) {
				case "callerIp", "caller_ip":
					ev.SourceIP, err = w.strOr()
				case "callerSuppliedUserAgent", "caller_supplied_user_agent":
					ev.UserAgent, err = w.strOr()
				default:
					err = w.skip()
				}
				return err
			})
		case "status":
			err = fields(&w, func(key []byte) error {
				v, err := w.value()
				if string(key) == "code" {
					code, _ = strconv.Atoi(strings.Trim(string(v), `"`)) // BigQuery writes numbers as texts
				}
				return err
			})
		default:
			err = w.skip()
		}
		return err
	}
	err := w.object(read)
	if err != nil || string(service) != "k8s.io" {
		return false, err
	}
	// google.rpc.Code: 16 is UNAUTHENTICATED.
	if refused = code == 16; refused {
		ev.Code = 401
		ev.Username = nil
	}
	if len(labels) > 0 {
		if err := d.dynamic(&walker{b: labels}, func(w *walker) error { return annotations(w, &ev) }); err != nil {
			return false, err
		}
	}
	ev.AuditID = insertID
	if len(operation) > 0 {
		w := walker{b: operation}
		err := fields(&w, func(key []byte) (err error) {
			if string(key) == "id" {
				ev.AuditID, err = w.strOr()
				return err
			}
			return w.skip()
		})
		if err != nil {
			return false, err
		}
	}
	if len(ev.AuditID) == 0 {
		return false, nil
	}
	ev.Stage = []byte("ResponseComplete")
	d.shapes |= GKEEntries
	return true, d.add(ev, isoTime(timestamp), nil)
}

// isoTime makes a time of SQL, "2026-11-22 04:11:41.133 UTC", one of JSON.
func isoTime(s []byte) []byte {
	if len(s) < 11 || s[10] != ' ' {
		return s
	}
	s = bytes.Clone(bytes.TrimSuffix(s, []byte(" UTC")))
	s[10] = 'T'
	if s[len(s)-1] != 'Z' {
		s = append(s, 'Z')
	}
	return s
}

// fields is object where there may be another kind of value.
func fields(w *walker, field func(key []byte) error) error {
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(field)
}

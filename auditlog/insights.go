package auditlog

import (
	"bytes"
	"strconv"
	"strings"
)

// insights is a row of a query of CloudWatch Logs Insights that names columns
// instead of asking for @message. People find stale tokens with the query of the
// Amazon EKS user guide, which takes the mark apart into its subject and its
// seconds; what else a row may hold are the fields that Logs Insights finds in
// an event by itself (user.extra.NAME.0).
type insights struct {
	at, subject, seconds, code []byte
	Event
}

// column returns where a column's value goes, or nil for one of no interest.
func (r *insights) column(name string) *[]byte {
	// Others than Logs Insights name the whole list: Splunk with braces behind it.
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".0"), "{}")
	const extra = "user.extra." + extraPrefix
	switch name {
	case "@timestamp":
		return &r.at
	case "subject":
		return &r.subject
	case "annotations." + staleKey:
		return &r.Mark
	case "auditID", "@ptr":
		return &r.AuditID
	case "userAgent":
		return &r.UserAgent
	case "sourceIPs":
		return &r.SourceIP
	case "responseStatus.code":
		return &r.code
	case "user.username":
		return &r.Username
	case "user.uid":
		return &r.UserUID
	case extra + "credential-id":
		return &r.CredentialID
	case extra + "pod-name":
		return &r.PodName
	case extra + "pod-uid":
		return &r.PodUID
	case extra + "node-name":
		return &r.NodeName
	}
	if name = strings.ToLower(name); strings.HasPrefix(name, "elapsed") || strings.HasPrefix(name, "seconds") {
		return &r.seconds
	}
	return nil
}

// flat completes an event whose keys were made flat, as VictoriaLogs and Splunk
// do: "user.username" beside "auditID". Lists are texts of JSON there.
func (r *insights) flat(ev *Event) {
	if len(ev.Username) > 0 || len(ev.Mark) > 0 || len(r.Username) == 0 && len(r.Mark) == 0 && len(r.code) == 0 {
		return
	}
	ev.Username, ev.UserUID, ev.Mark = r.Username, r.UserUID, r.Mark
	ev.CredentialID, ev.PodName, ev.PodUID, ev.NodeName = single(r.CredentialID), single(r.PodName), single(r.PodUID), single(r.NodeName)
	if len(ev.SourceIP) == 0 {
		ev.SourceIP = single(r.SourceIP)
	}
	if n, ok := digits(r.code); ok && len(r.code) == 3 {
		ev.Code = n
	}
}

// single returns the first text of a list that is a text itself.
func single(s []byte) []byte {
	if len(s) > 0 && s[0] == '[' {
		w := walker{b: s}
		if first, err := w.first(); err == nil {
			return first
		}
	}
	return s
}

// isInsights tells whether columns are those of such a query: a time, and either
// the mark or both of its parts.
func isInsights(names []string) bool {
	var r insights
	for _, name := range names {
		if to := r.column(name); to != nil {
			*to = []byte(name)
		}
	}
	return r.whole()
}

func (r *insights) whole() bool {
	return len(r.at) > 0 && (len(r.Mark) > 0 || len(r.subject) > 0 && len(r.seconds) > 0)
}

// columns makes an event of a row of a query's result. It reports false where the
// row is another one.
func (d *decoder) columns(r *insights) bool {
	if !r.whole() {
		return false
	}
	ev := r.Event
	if len(ev.Mark) == 0 {
		n, err := strconv.ParseUint(string(bytes.TrimSpace(r.seconds)), 10, 63)
		if err != nil {
			return false
		}
		ev.Mark = strconv.AppendUint(append(append(append([]byte{}, markPrefix...), bytes.TrimSpace(r.subject)...), markMiddle...), n, 10)
	}
	mark, ok := ParseMark(ev.Mark)
	if !ok {
		return false
	}
	if len(ev.Username) == 0 {
		ev.Username = mark.Subject
	}
	if len(ev.AuditID) == 0 {
		ev.AuditID = append(append(bytes.Clone(r.at), ' '), ev.Mark...)
	}
	ev.Stage = []byte("ResponseComplete")
	if d.add(ev, isoTime(bytes.TrimSpace(r.at)), nil) != nil {
		return false
	}
	d.shapes |= QueryResults | InsightsColumns
	return true
}

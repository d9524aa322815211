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
	at, subject, seconds []byte
	Event
}

// column returns where a column's value goes, or nil for one of no interest.
func (r *insights) column(name string) *[]byte {
	const extra = "user.extra.authentication.kubernetes.io/"
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
	case "sourceIPs.0":
		return &r.SourceIP
	case "user.username":
		return &r.Username
	case extra + "credential-id.0":
		return &r.CredentialID
	case extra + "pod-name.0":
		return &r.PodName
	case extra + "pod-uid.0":
		return &r.PodUID
	case extra + "node-name.0":
		return &r.NodeName
	}
	if name = strings.ToLower(name); strings.HasPrefix(name, "elapsed") || strings.HasPrefix(name, "seconds") {
		return &r.seconds
	}
	return nil
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
	// "2026-11-22 04:11:42.133", in UTC.
	at := bytes.Clone(bytes.TrimSpace(r.at))
	if i := bytes.IndexByte(at, ' '); i > 0 {
		at[i] = 'T'
	}
	if !bytes.HasSuffix(at, []byte("Z")) {
		at = append(at, 'Z')
	}
	if d.add(ev, at, nil) != nil {
		return false
	}
	d.shapes |= InsightsRows | InsightsColumns
	return true
}

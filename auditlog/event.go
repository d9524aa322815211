// Package auditlog reads Kubernetes audit logs, however they were stored, and
// hands on the few facts of each event that a check of credentials needs.
//
// [Scan] takes sources (files, directories, streams), undoes compression and
// envelopes by looking at the bytes, never at names, and calls a sink with
// batches of events. It walks every event's JSON once, without building it in
// memory, so that a mark counts only where the API server writes it: in the
// event's own annotations, not in the text of a request. Lines that are cut or
// corrupt are counted, not fatal; memory is bounded whatever the input holds.
//
// The format is audit.k8s.io/v1 (k8s.io/apiserver pkg/apis/audit/v1/types.go).
package auditlog

import (
	"bytes"
	"strconv"
	"time"
)

// Event is what is kept of one audit event. The byte slices point into a
// buffer that is used again: a sink copies what it keeps.
type Event struct {
	AuditID []byte
	// Stage is RequestReceived, ResponseStarted, ResponseComplete or Panic.
	Stage []byte
	// Time is requestReceivedTimestamp, the same at every stage of a request.
	Time time.Time
	// Code is the HTTP status, 0 at stage RequestReceived.
	Code int
	// Username is empty where authentication failed.
	Username []byte
	// UserUID is a service account's, and the same for all of the account's tokens:
	// another cluster's account of the name has another one.
	UserUID      []byte
	CredentialID []byte // "JTI=..." or "X509SHA256=...", from 1.30 on by default
	PodName      []byte
	PodUID       []byte
	NodeName     []byte
	UserAgent    []byte
	// SourceIP is the first address, which is what the caller claims.
	SourceIP []byte
	// Mark is the annotation authentication.k8s.io/stale-token, as it stands.
	Mark []byte
	// Issued is the annotation authentication.kubernetes.io/issued-credential-id
	// of a request for a token: the new token's id.
	Issued []byte
	// Sender, where it is set, is one and the same for all events with the same
	// user. It holds nothing that the event doesn't say.
	Sender *Sender
	// Client is the like for SourceIP and UserAgent.
	Client *Client
}

// Mark is a stale-token annotation, taken apart.
type Mark struct {
	// Subject is the token's user, "system:serviceaccount:NS:NAME".
	Subject []byte
	// Seconds says how long ago the token's intended end (warnafter) was.
	Seconds int64
}

// The annotation's text is made in k8s.io/kubernetes pkg/serviceaccount/claims.go.
var (
	markPrefix = []byte("subject: ")
	markMiddle = []byte(", seconds after warning threshold: ")
)

// maxMarkSeconds is ten years, far beyond what any API server grants.
const maxMarkSeconds = 10 * 366 * 24 * 3600

// ParseMark takes the text of a stale-token annotation apart. It reports false
// for anything that the API server would not have written.
func ParseMark(text []byte) (Mark, bool) {
	rest, ok := bytes.CutPrefix(text, markPrefix)
	if !ok {
		return Mark{}, false
	}
	i := bytes.LastIndex(rest, markMiddle)
	if i <= 0 {
		return Mark{}, false
	}
	digits := rest[i+len(markMiddle):]
	if len(digits) == 0 || len(digits) > 10 || digits[0] == '+' || digits[0] == '-' {
		return Mark{}, false
	}
	s, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || s > maxMarkSeconds {
		return Mark{}, false
	}
	return Mark{Subject: rest[:i], Seconds: s}, true
}

// parseTime reads the RFC 3339 times of audit events. The common form, UTC
// with a fraction, is read without the time package's general parser.
func parseTime(b []byte) (time.Time, bool) {
	if len(b) < 20 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[len(b)-1] != 'Z' {
		t, err := time.Parse(time.RFC3339Nano, string(b))
		return t.UTC(), err == nil && validYear(t)
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) ||
		month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nano := 0
	if b[19] == '.' {
		frac := b[20 : len(b)-1]
		if len(frac) == 0 || len(frac) > 9 {
			return time.Time{}, false
		}
		n, ok := digits(frac)
		if !ok {
			return time.Time{}, false
		}
		for range 9 - len(frac) {
			n *= 10
		}
		nano = n
	} else if len(b) != 20 {
		return time.Time{}, false
	}
	if year < 1970 || year >= 2200 || day > daysIn(year, month) {
		return time.Time{}, false
	}
	sec := int64(dayNumber(year, month, day))*86400 + int64(hour*3600+minute*60+second)
	return time.Unix(sec, int64(nano)).UTC(), true
}

// clock reads the times of events, most of which are of the minute of the one
// before.
type clock struct {
	date, minute uint64 // "2026-11-" and "22T04:11"
	at           int64  // in seconds since 1970
}

// microTime is the length of a time as the API server writes it.
const microTime = len("2026-11-22T04:11:41.133602Z")

func (k *clock) parse(b []byte) (time.Time, bool) {
	at, ok := k.nanos(b)
	return time.Unix(0, at).UTC(), ok
}

// nanos is parse, in nanoseconds since 1970.
func (k *clock) nanos(b []byte) (int64, bool) {
	const minute, second = len("2026-11-"), len("2026-11-22T04:11:")
	if len(b) == microTime && word(b) == k.date && word(b[minute:]) == k.minute && b[second-1] == ':' {
		seconds, ok1 := digits(b[second : second+2])
		nanos, ok2 := fraction(b[second+2:])
		if ok1 && ok2 && seconds <= 59 {
			return (k.at+int64(seconds))*1e9 + nanos, true
		}
	}
	t, ok := parseTime(b)
	if ok && len(b) == microTime && b[second-1] == ':' && b[microTime-1] == 'Z' {
		k.date, k.minute, k.at = word(b), word(b[minute:]), t.Unix()-int64(t.Second())
	}
	return t.UnixNano(), ok
}

// fraction reads ".133602Z" as nanoseconds, all of its digits at once: neighbours are
// joined to numbers of two digits, these to such of four, and these to the whole.
func fraction(b []byte) (int64, bool) {
	const zeros, sixes, tops = '.' | '0'*0x010101010101<<8 | 'Z'<<56, 0x060606060606 << 8, 0xf0f0f0f0f0f0<<8 | 0xff<<56 | 0xff
	x := word(b) ^ zeros
	if (x|(x+sixes))&tops != 0 {
		return 0, false
	}
	x = (x*10 + x>>8) & 0x00ff00ff00ff00ff
	x = (x*100 + x>>16) & 0x0000ffff0000ffff
	x = (x*10000 + x>>32) & 0xffffffff
	return int64(x) * 100, true // the Z stands for one more digit
}

// dayNumber counts days from 1970-01-01 (Howard Hinnant, chrono-compatible
// low-level date algorithms).
func dayNumber(y, m, d int) int {
	if m <= 2 {
		y--
		m += 12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1 - 719468
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// validYear keeps times within what JSON and Unix nanoseconds can carry.
func validYear(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2200 }

func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

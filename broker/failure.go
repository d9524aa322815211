package broker

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// failureShare is how long a failure answers for further questions: a client
// that tries five times runs the issuer once.
const failureShare = 2 * time.Second

// keepFailure leaves word of a failure for those who wait and for who comes soon.
func (a *Ask) keepFailure(e *IssuerError) {
	data := encodeRecord("failure", fields{
		{"key", a.key},
		{"at", stamp(a.b.Now())},
		{"interactive", strconv.FormatBool(a.road.interactive())},
		{"status", strconv.Itoa(e.Status)},
		{"problem", oneLine(e.Problem)},
	}, e.stderr)
	_ = a.store.write(a.key, failSuffix, data) // without it, the next one fails by itself
}

// recentFailure returns the failure of a run that ended after since. One that
// could not ask the person does not count for a question that can.
func (a *Ask) recentFailure(since time.Time) error {
	data, _, err := a.store.read(a.key, failSuffix)
	if err != nil {
		return nil
	}
	all, said, err := decodeRecord("failure", data)
	if err != nil || all.get("key") != a.key {
		return nil
	}
	at, err := readStamp(all.get("at"))
	status, err2 := strconv.Atoi(all.get("status"))
	if err != nil || err2 != nil || !at.After(since) || at.After(a.b.Now().Add(clockSlack)) {
		return nil
	}
	if a.road.interactive() && all.get("interactive") != "true" {
		return nil
	}
	return &IssuerError{Issuer: a.issuer, Status: status, Problem: strings.ToValidUTF8(all.get("problem"), "?"), Shared: true, stderr: said}
}

// replay says again what the issuer said when it failed for another: who waited
// has not seen it.
func (a *Ask) replay(err error) error {
	var failed *IssuerError
	if errors.As(err, &failed) && a.b.Stderr != nil {
		_, _ = a.b.Stderr.Write(failed.stderr)
	}
	return err
}

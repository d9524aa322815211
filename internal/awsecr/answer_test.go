package awsecr_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/awsecr"
)

func TestReadAnswer(t *testing.T) {
	const token = `"authorizationToken":"QVdTOnA6dw==","expiresAt":1763800000.5`
	want := awsecr.Password{Username: "AWS", Password: "p:w", Expires: time.UnixMilli(1763800000500)}
	for in, ok := range map[string]bool{
		`{"authorizationData":[{` + token + `,"proxyEndpoint":"https://x"}]}`: true,
		`{"authorizationData":{` + token + `}}`:                               true,
		`{"authorizationData":[]}`:                                            false,
		`{"authorizationData":[{"authorizationToken":"%"}]}`:                  false,
		`{"authorizationData":[{"authorizationToken":"QVdT"}]}`:               false,
		`{"authorizationData":[{"authorizationToken":"OnA="}]}`:               false,
		`{"authorizationData":"x"}`:                                           false,
		`{}`:                                                                  false,
		`<html>`:                                                              false,
		``:                                                                    false,
	} {
		got, err := awsecr.ReadAnswer([]byte(in))
		if ok && (err != nil || got != want) || !ok && err != awsecr.ErrNoPassword {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
}

func TestKeep(t *testing.T) {
	now := time.Now()
	for range 100 {
		if keep := (awsecr.Password{Expires: now.Add(10 * time.Hour)}).Keep(now); keep < 8*time.Hour || keep > 9*time.Hour {
			t.Fatal(keep)
		}
	}
	for _, p := range []awsecr.Password{{}, {Expires: now}, {Expires: now.Add(-time.Hour)}} {
		if keep := p.Keep(now); keep != 0 {
			t.Errorf("%+v: %s", p, keep)
		}
	}
}

// The dates of answers are read as net/http reads them.
func TestOffset(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	for _, date := range []string{
		"Sun, 22 Nov 2026 04:13:30 GMT", "Sun, 22 Nov 2026 05:13:00 GMT", "Sun, 22 Nov 2026 04:11:00 GMT", "Sunday, 22-Nov-26 05:13:00 GMT",
		"Sun Nov 22 05:13:00 2026", "Sun, 22 Nov 2026 05:13:00 CET", "", "x", "2026-11-22T05:13:00Z",
	} {
		want := time.Duration(0)
		if at, err := http.ParseTime(date); err == nil && at.Sub(now).Abs() > time.Minute {
			want = at.Sub(now)
		}
		if got := awsecr.Offset(date, now); got != want {
			t.Errorf("%q: %s, want %s", date, got, want)
		}
	}
}

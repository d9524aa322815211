package broker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The journal is read by people's own tools too, so that encoding/json is to make
// the same of a line.
func TestOutcomeLine(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 2, 3, 450_000_000, time.UTC)
	for _, want := range []Outcome{
		{Time: at, Image: "a", Registry: "r", Issuer: "i", OK: true, Seconds: 0.25},
		{Time: at, Image: "<a>\"\\", Registry: "r", Issuer: "i x", ServiceAccount: "ns/name", Stale: true, Seconds: 12, Empty: true, Error: "e\u2028", Warning: "ü"},
	} {
		line := want.encode()
		var other Outcome
		if err := json.Unmarshal(line, &other); err != nil || cmp.Diff(want, other) != "" {
			t.Errorf("%s: %v %s", line, err, cmp.Diff(want, other))
		}
		if got, ok := decodeOutcome(line); !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", line, ok, cmp.Diff(want, got))
		}
		if standard, err := json.Marshal(want); err != nil {
			t.Error(err)
		} else if got, ok := decodeOutcome(standard); !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", standard, ok, cmp.Diff(want, got))
		}
	}
	for _, bad := range []string{"", "{}", "[]", "null", `{"time":"2026-11-22T10:02:03Z"}`, `{"time":1,"seconds":1}`, `{"time":"x","seconds":1}`, `{"time":"2026-11-22T10:02:03Z","seconds":"1"}`} {
		if o, ok := decodeOutcome([]byte(bad)); ok {
			t.Errorf("%s passes as %+v", bad, o)
		}
	}
}

package satoken

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

// TestIssued: the request for a token tells its exact issue and who asked, in
// whatever order the events come, unless its clock contradicts the marks.
func TestIssued(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 0, 0, 400e6, time.UTC)
	issue := func(id string, at time.Time, user string) auditlog.Event {
		return auditlog.Event{AuditID: []byte("i" + id), Stage: []byte("ResponseComplete"), Time: at, Username: []byte(user), Issued: []byte("JTI=" + id)}
	}
	use := func(id string, at time.Time, mark string) auditlog.Event {
		return auditlog.Event{AuditID: []byte("u" + id), Stage: []byte("ResponseComplete"), Time: at, Code: 200,
			Username: []byte("system:serviceaccount:apps:web"), CredentialID: []byte("JTI=" + id), PodName: []byte("web-0"), Mark: []byte(mark)}
	}
	mark := func(s int) string {
		return fmt.Sprintf("subject: system:serviceaccount:apps:web, seconds after warning threshold: %d", s)
	}
	events := []auditlog.Event{
		issue("old", at, "system:node:n1"),
		use("old", at.Add(2*time.Hour), mark(7200-3607-7)), // the cache's lag
		issue("skewed", at.Add(-time.Hour), "kubernetes-admin"),
		use("skewed", at.Add(2*time.Hour), mark(7200-3607)),
		issue("fresh", at.Add(time.Hour), "system:node:n1"),
		use("fresh", at.Add(90*time.Minute), ""),
		use("unknown", at.Add(90*time.Minute), ""),
	}
	p, _ := ParseProfile("eks")
	for range 2 {
		tally := NewTally(TallyOptions{})
		for i := range events {
			tally.Add(events[i : i+1])
		}
		got := map[string]string{}
		for _, tok := range tally.Judge(JudgeOptions{Now: at.Add(3 * time.Hour), Profile: p}).Tokens {
			got[tok.CredentialID] = tok.IssuedTo + " " + tok.IssuedAt.Format("15:04:05")
		}
		want := map[string]string{"old": "system:node:n1 04:00:00", "skewed": "kubernetes-admin 04:00:00", "fresh": "system:node:n1 05:00:00", "unknown": " 00:00:00"}
		for id := range want {
			if got[id] != want[id] {
				t.Errorf("%s: %q, want %q", id, got[id], want[id])
			}
		}
		for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
			events[i], events[j] = events[j], events[i]
		}
	}
	tally := NewTally(TallyOptions{})
	for i := range 3 * maxIssues {
		tally.Add([]auditlog.Event{issue(fmt.Sprint(i), at.Add(time.Duration(i)*time.Second), "system:node:n1")})
	}
	if n := len(tally.issues); n > maxIssues {
		t.Errorf("%d issues are kept", n)
	}
}

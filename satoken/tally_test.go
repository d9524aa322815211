package satoken

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

func TestIDSet(t *testing.T) {
	ids := make([]uint64, 5000)
	for i := range ids {
		ids[i] = auditlog.HashID([]byte(fmt.Sprintf("5668ce08-6c3c-4091-8fcb-%012x", i)))
	}
	count := func(limit int, ids []uint64) (int64, bool) {
		var s idSet
		used := 0
		for _, h := range ids {
			used += s.insert(h, limit)
		}
		used += s.settle()
		if used != s.n || used > limit {
			t.Errorf("limit %d: used %d, holds %d", limit, used, s.n)
		}
		return s.count()
	}
	if n, exact := count(5000, append(ids, ids...)); n != 5000 || !exact {
		t.Errorf("%d, exact %v, want 5000", n, exact)
	}
	first, exact := count(256, ids)
	if exact || first < 4000 || first > 6000 {
		t.Errorf("estimate %d, exact %v, want about 5000", first, exact)
	}
	for range 20 {
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		if n, _ := count(256, append(ids, ids[:2000]...)); n != first {
			t.Errorf("estimate %d in another order, want %d", n, first)
		}
	}
}

func TestTimeSet(t *testing.T) {
	var s timeSet
	for i := range int64(100_000) {
		s.insert(i * int64(time.Minute))
	}
	if len(s.spans) > maxSpans {
		t.Errorf("%d spans", len(s.spans))
	}
	if at, ok := s.after(0); !ok || at != 0 {
		t.Errorf("after(0) = %d, %v", at, ok)
	}
	if _, ok := s.after(100_000 * int64(time.Minute)); ok {
		t.Error("found a time after the last")
	}
}

// TestMemoryIsBoundedByLiveTokens: over ninety days of hourly tokens the live
// ones are kept, and that one healed a stale one is not forgotten.
func TestMemoryIsBoundedByLiveTokens(t *testing.T) {
	tally := NewTally(TallyOptions{})
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	add := func(id, pod, mark string) {
		tally.Add([]auditlog.Event{{
			AuditID: fmt.Appendf(nil, "%s-%d", id, at.Unix()), Stage: []byte("ResponseComplete"), Time: at, Code: 200,
			Username: []byte("system:serviceaccount:apps:web"), CredentialID: []byte("JTI=" + id), PodName: []byte(pod),
			PodUID: []byte(pod), UserAgent: []byte("web/1"), SourceIP: []byte("10.0.0.1"), Mark: []byte(mark),
		}})
	}
	add("old", "web-6d8f7c9b5-hx2lq", "subject: system:serviceaccount:apps:web, seconds after warning threshold: 86400")
	peak := 0
	for hour := range 90 * 24 {
		at = at.Add(time.Hour)
		for pod := range 50 {
			add(fmt.Sprintf("t%d-%d", hour, pod), fmt.Sprintf("web-6d8f7c9b5-%05d", pod), "")
			peak = max(peak, len(tally.tokens))
		}
	}
	if peak > maxFresh {
		t.Errorf("%d tokens kept, want at most %d", peak, maxFresh)
	}
	p, _ := ParseProfile("eks")
	all := tally.Judge(JudgeOptions{Now: at, Profile: p, All: true})
	if n := len(all.Tokens); n > maxFresh+1 || all.Seen != n+int(all.Forgotten) || all.Seen < 90*24*50 {
		t.Errorf("%d tokens listed, %d seen, %d forgotten", n, all.Seen, all.Forgotten)
	}
	for _, tok := range tally.Judge(JudgeOptions{Now: at, Profile: p}).Tokens {
		if tok.CredentialID == "old" && tok.Verdict != Healed {
			t.Errorf("the old token is %s", tok.Verdict)
		}
	}
}

func TestBudgetIsShared(t *testing.T) {
	tally := NewTally(TallyOptions{})
	tally.budget.fresh = share{limit: 1000, each: 1000}
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	for i := range 5000 {
		tally.Add([]auditlog.Event{{AuditID: fmt.Appendf(nil, "a%d", i), Stage: []byte("x"), Time: at, Username: []byte("system:serviceaccount:a:b"),
			CredentialID: fmt.Appendf(nil, "JTI=%d", i%7)}})
	}
	tally.settle()
	held := 0
	for tok := range tally.all() {
		held += tok.ids.n
		if n, _ := tok.ids.count(); n < 400 || n > 1100 {
			t.Errorf("about %d requests, want about 714", n)
		}
	}
	if held != tally.budget.fresh.used || held > 1000 {
		t.Errorf("holds %d, counted %d, may 1000", held, tally.budget.fresh.used)
	}
}

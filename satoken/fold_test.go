package satoken

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/auditlog"
)

// kind is what requests of one kind have in common.
type kind struct {
	user, jti, uri, agent string
	code                  int
	marked                bool
}

// foldStart is when the logs of these tests begin.
var foldStart = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// line writes the n-th event of a log, as an API server does.
func (k kind) line(n, micros int) string {
	at := foldStart.Add(time.Duration(micros) * time.Microsecond)
	user := `"username":"` + k.user + `"`
	if k.jti != "" {
		user += fmt.Sprintf(`,"uid":"529808a5-df76-4f2b-b0d3-471e621bf94e","extra":{"authentication.kubernetes.io/credential-id":["JTI=%s"],"authentication.kubernetes.io/pod-name":["web-0"],"authentication.kubernetes.io/pod-uid":["uid-%[1]s"]}`, k.jti)
	}
	notes := `"authorization.k8s.io/reason":"RBAC: allowed by ` + strings.Repeat("x", 250) + `"`
	if k.marked {
		age := int(at.Sub(foldStart)/time.Second) + 20*86400
		notes = fmt.Sprintf(`"authentication.k8s.io/stale-token":"subject: %s, seconds after warning threshold: %d",`, k.user, age) + notes
	}
	stamp := at.Format("2006-01-02T15:04:05.000000Z")
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5668ce08-6c3c-4091-8fcb-%012d","stage":"ResponseComplete","requestURI":%q,"verb":"list","user":{%s},"sourceIPs":["10.0.7.7"],"userAgent":%q,"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":%d},"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{%s}}`+"\n",
		n, k.uri, user, k.agent, k.code, stamp, stamp, notes)
}

// come is what a log comes to, and how many of its events were handed on. The log is
// in several files, since nothing is left out before the first events were handed on.
func come(t testing.TB, lines []string, o TallyOptions, each int, how auditlog.Options) (Judgement, []auditlog.Stats, int) {
	t.Helper()
	tally := NewTally(o)
	tally.budget.fresh.each = each // without a change of it nothing depends on the order
	how.Fold, how.Workers = tally.Fold(), 1
	handed := 0
	var files []auditlog.Source
	for some := range slices.Chunk(lines, 25) {
		files = append(files, auditlog.Reader("log", strings.NewReader(strings.Join(some, ""))))
	}
	stats, err := auditlog.Scan(t.Context(), files, how, func(events []auditlog.Event) {
		handed += len(events)
		tally.Add(events)
	})
	if err != nil {
		t.Fatal(err)
	}
	profile, err := ParseProfile("eks")
	if err != nil {
		t.Fatal(err)
	}
	j := tally.Judge(JudgeOptions{Now: foldStart.Add(24 * time.Hour), Profile: profile, All: true})
	return j, stats, handed
}

// TestFoldChangesNothing: whatever a scan leaves out of a log, it comes to the same.
func TestFoldChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) kind {
			return kind{
				user: rapid.SampledFrom([]string{"system:serviceaccount:apps:web", "system:serviceaccount:apps:db", "system:node:a", "system:anonymous"}).Draw(rt, "user"),
				uri:  rapid.SampledFrom([]string{"/api", "/apis", "/version"}).Draw(rt, "uri"), agent: rapid.SampledFrom([]string{"web/1", "db/2"}).Draw(rt, "agent"),
				code: rapid.SampledFrom([]int{200, 200, 404, 401}).Draw(rt, "code"),
			}
		}), 1, 6).Draw(rt, "kinds")
		for i := range kinds {
			if account, ok := strings.CutPrefix(kinds[i].user, "system:serviceaccount:apps:"); ok {
				kinds[i].jti = rapid.SampledFrom([]string{"", account + "-1", account + "-2", account + "-3"}).Draw(rt, "jti")
				kinds[i].marked = rapid.IntRange(0, 3).Draw(rt, "marked") == 0 && !strings.HasSuffix(kinds[i].jti, "3")
			}
		}
		at := 0
		var all []string
		for i := range rapid.IntRange(1, 400).Draw(rt, "events") {
			step := rapid.SampledFrom([]int{0, 1, 1_000_000, 7_000_123, 299_999_999, 301_000_000, 1_300_000_000}).Draw(rt, "step")
			if back := rapid.IntRange(0, 9).Draw(rt, "back"); back == 0 {
				step = -min(step, at)
			}
			at += step
			all = append(all, rapid.SampledFrom(kinds).Draw(rt, "kind").line(i, at))
		}
		if rapid.Bool().Draw(rt, "shuffle") {
			all = rapid.Permutation(all).Draw(rt, "order")
		}
		if rapid.Bool().Draw(rt, "repeat") {
			all = append(all, all...)
		}
		var o TallyOptions
		if rapid.Bool().Draw(rt, "bounds") {
			o = TallyOptions{From: foldStart.Add(10 * time.Minute), Until: foldStart.Add(3 * time.Hour)}
		}
		each := rapid.SampledFrom([]int{1, 4, 1000}).Draw(rt, "each")
		want, counts, _ := come(t, all, o, each, auditlog.Options{Strict: true})
		got, gotCounts, _ := come(t, all, o, each, auditlog.Options{})
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatalf("-strict +folded\n%s", d)
		}
		if d := cmp.Diff(counts, gotCounts); d != "" {
			rt.Fatalf("-strict +folded\n%s", d)
		}
	})
}

// TestFoldLeavesOut: of a log in which all comes again hardly any event is handed on,
// but each kind at least every few minutes of its time.
func TestFoldLeavesOut(t *testing.T) {
	kinds := []kind{
		{user: "system:serviceaccount:apps:web", jti: "web-1", uri: "/api", agent: "web/1", code: 200},
		{user: "system:node:a", uri: "/api", agent: "kubelet", code: 200},
	}
	var lines []string
	const events = 7200
	for i := range events {
		lines = append(lines, kinds[i%2].line(i, i*1_000_000))
	}
	j, stats, handed := come(t, lines, TallyOptions{}, 4, auditlog.Options{})
	met := int64(0)
	for _, s := range stats {
		met += s.Events
	}
	if met != events || handed > events/20 || handed < len(kinds)*events/60/6 {
		t.Errorf("of %d events %d were handed on, want %d and about %d", met, handed, events, len(kinds)*events/60/5)
	}
	if len(j.Tokens) != 1 || !j.Tokens[0].FirstSeen.Equal(foldStart) || !j.Tokens[0].LastSeen.Equal(foldStart.Add((events-2)*time.Second)) {
		t.Errorf("%+v", j.Tokens)
	}
}

// TestFoldOfATokenThatWasLetGo: what is told of a token too late to keep it counts as
// what was forgotten.
func TestFoldOfATokenThatWasLetGo(t *testing.T) {
	tally := NewTally(TallyOptions{})
	fold := tally.Fold()
	if fold.From != math.MinInt64 || fold.Until != math.MaxInt64 {
		t.Errorf("%+v", fold)
	}
	first := foldStart.UnixNano()
	var sender auditlog.Sender
	tally.Add([]auditlog.Event{{Sender: &sender, Time: foldStart, Username: []byte("system:serviceaccount:apps:web"), CredentialID: []byte("JTI=a"), PodName: []byte("web-0")}})
	tally.forgetAt = 0
	tally.newest = first + 2*idle
	tally.forget()
	last := first + int64(4*time.Minute)
	for range 2 {
		fold.Used([]auditlog.Use{{Sender: &sender, First: first, Last: last, ID: 7}})
	}
	if got, want := *tally.forgotten[owner{"apps/web", 0}], (forgotten{"web-0", "", first, last}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if tokens := slices.Collect(tally.all()); len(tokens) != 0 || tally.left != 1 || tally.budget.fresh.used != 0 {
		t.Errorf("%d tokens are kept, %d were let go, %d ids are counted", len(tokens), tally.left, tally.budget.fresh.used)
	}
}

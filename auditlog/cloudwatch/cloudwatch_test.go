package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/auditlog/cloudwatch/insightsfake"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want []Group
		fail string
	}{
		{"cloudwatch://eu-west-1/prod", []Group{{"cloudwatch://eu-west-1/prod", "/aws/eks/prod/cluster"}}, ""},
		{"cloudwatch://us-gov-west-1/a,b,a", []Group{{"cloudwatch://us-gov-west-1/a", "/aws/eks/a/cluster"}, {"cloudwatch://us-gov-west-1/b", "/aws/eks/b/cluster"}}, ""},
		{"cloudwatch://eu-west-1//my/own.group", []Group{{"cloudwatch://eu-west-1//my/own.group", "/my/own.group"}}, ""},
		{"cloudwatch://prod", nil, `cloudwatch://prod: "prod" is no region: write cloudwatch://REGION/CLUSTER, such as cloudwatch://eu-west-1/prod`},
		{"cloudwatch://eu-west-1", nil, "cloudwatch://eu-west-1: no cluster is named: write cloudwatch://eu-west-1/CLUSTER"},
		{"cloudwatch://eu-west-1/a,", nil, "cloudwatch://eu-west-1/a,: no cluster is named: write cloudwatch://eu-west-1/CLUSTER"},
		{"cloudwatch://eu-west-1/a b", nil, `cloudwatch://eu-west-1/a b: "a b" is no cluster's name`},
		{"loki://x", nil, "loki://x: a source in CloudWatch is written cloudwatch://REGION/CLUSTER"},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if tt.fail != "" {
			if err == nil || err.Error() != tt.fail {
				t.Errorf("Parse(%s): %v, want %s", tt.in, err, tt.fail)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got.Groups); err != nil || diff != "" {
			t.Errorf("Parse(%s): %v (-want +got):\n%s", tt.in, err, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cloudwatch://eu-west-1/prod")
	f.Fuzz(func(t *testing.T, s string) {
		if l, err := Parse(s); err == nil && len(l.Groups) == 0 {
			t.Errorf("Parse(%q) has no group and no error", s)
		}
	})
}

var begin = time.Date(2026, 11, 22, 3, 30, 0, 0, time.UTC)

// event is a line of an audit log; with a mark if it has seconds.
func event(i int, account string, marked bool, code int) string {
	mark := `{}`
	if marked {
		mark = `{"authentication.k8s.io/stale-token":"subject: system:serviceaccount:` + account + `, seconds after warning threshold: 5"}`
	}
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"%d","stage":"ResponseComplete","user":{"username":"system:serviceaccount:%s"},"responseStatus":{"code":%d},"annotations":%s}`, i, account, code, mark)
}

func start(t *testing.T) *insightsfake.Server {
	t.Helper()
	f := insightsfake.Start()
	t.Cleanup(f.Close)
	for _, v := range f.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true") // which the SDK refuses beside an endpoint of one's own
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return f
}

// read runs a source and returns its lines, and what failed by stream.
func read(t *testing.T, s *Source) (lines []string, failed []string, err error) {
	t.Helper()
	err = s.Streams(t.Context(), func(st auditlog.Stream) error {
		r, err := st.Open()
		if err != nil {
			failed = append(failed, st.Name+": "+err.Error())
			return nil
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err != nil {
			failed = append(failed, st.Name+": "+err.Error())
		}
		for l := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
			if l != "" {
				lines = append(lines, l)
			}
		}
		return nil
	})
	return lines, failed, err
}

func source(t *testing.T, name string, o Options) *Source {
	t.Helper()
	at, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	o.From, o.To, o.Poll, o.MaxBackoff = begin, begin.Add(2*time.Hour), time.Millisecond, time.Millisecond
	s, err := New(t.Context(), at, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fill(f *insightsfake.Server, group string, n int) {
	for i := range n {
		account := "apps:quiet"
		if i%10 == 0 {
			account = "apps:marked"
		}
		f.Groups[group] = append(f.Groups[group], insightsfake.Line{At: begin.Add(time.Duration(i) * 2 * time.Hour / time.Duration(n)), Text: event(i, account, i%100 == 0, 200)})
	}
}

// TestStreams: the first pass brings the marks, the second all requests of the
// accounts that have one, and no answer is cut by the limit of rows.
func TestStreams(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/prod/cluster", 3000)
	f.Groups["/aws/eks/prod/cluster"] = append(f.Groups["/aws/eks/prod/cluster"], insightsfake.Line{At: begin, Text: event(9001, "apps:refused", false, 401)})
	var said []string
	s := source(t, "cloudwatch://eu-west-1/prod", Options{Progress: func(l string) { said = append(said, l) }})
	s.limit = 20
	lines, failed, err := read(t, s)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	count := map[string]int{}
	for _, l := range slices.Compact(slices.Sorted(slices.Values(lines))) {
		switch {
		case strings.Contains(l, "apps:marked"):
			count["marked"]++
		case strings.Contains(l, "apps:refused"):
			count["refused"]++
		default:
			count["other"]++
		}
	}
	if diff := cmp.Diff(map[string]int{"marked": 300, "refused": 1}, count); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if len(said) != 2 || !strings.HasPrefix(said[0], "cloudwatch://eu-west-1/prod: 2026-11-22 03:30 to 2026-11-22 05:30 UTC; about ") || !strings.Contains(said[1], " queries scanned ") {
		t.Errorf("said %q", said)
	}
}

func TestMarksOnlyAsksOnce(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/prod/cluster", 1000)
	lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true}))
	if err != nil || failed != nil || len(lines) != 10 || f.Queries() != 3 {
		t.Errorf("%d lines of %d queries, %v, %v", len(lines), f.Queries(), failed, err)
	}
}

// TestWhatFailsIsNamed: the hours that are missing are streams that fail, the
// others are read.
func TestWhatFailsIsNamed(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/a/cluster", 1000)
	f.End = func(_ string, from, _ time.Time) string {
		if from.Hour() == 4 {
			return "Timeout"
		}
		return ""
	}
	lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/a,gone", Options{MarksOnly: true}))
	if err != nil || len(lines) != 5 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	gone := ": there is no log group /aws/eks/gone/cluster in eu-west-1: turn audit logging on (aws eks update-cluster-config --logging), or look at the name"
	want := []string{
		"cloudwatch://eu-west-1/a, 2026-11-22 04:00 to 05:00 UTC: the query ended as timeout",
		"cloudwatch://eu-west-1/gone, 2026-11-22 03:30 to 04:00 UTC" + gone,
		"cloudwatch://eu-west-1/gone, 2026-11-22 04:00 to 05:00 UTC" + gone,
		"cloudwatch://eu-west-1/gone, 2026-11-22 05:00 to 05:30 UTC" + gone,
	}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/prod/cluster", 100)
	f.Fail = func(n int, _ string, _, _ time.Time) string {
		switch {
		case n <= 3:
			return "LimitExceededException"
		case n <= 6:
			return "ThrottlingException"
		}
		return ""
	}
	if lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true})); err != nil || failed != nil || len(lines) != 1 {
		t.Errorf("%d lines, %v, %v", len(lines), failed, err)
	}
	f.Fail = func(int, string, time.Time, time.Time) string { return "ThrottlingException" }
	_, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true}))
	if err != nil || len(failed) != 3 || !strings.HasSuffix(failed[0], "AWS throttles (ThrottlingException), also after 10 attempts") {
		t.Errorf("%v, %v", failed, err)
	}
}

func TestOtherRefusals(t *testing.T) {
	f := start(t)
	f.Fail = func(int, string, time.Time, time.Time) string { return "AccessDeniedException" }
	_, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true}))
	want := "AWS denies it: said by the stand-in. It takes logs:StartQuery, logs:GetQueryResults and logs:StopQuery on /aws/eks/prod/cluster"
	if err != nil || len(failed) != 3 || !strings.HasSuffix(failed[0], want) {
		t.Errorf("%v, %v", failed, err)
	}
}

func TestWithoutCredentials(t *testing.T) {
	start(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true, Progress: func(l string) {
		if strings.Contains(l, "queries") {
			t.Errorf("said %q", l)
		}
	}}))
	if err != nil || len(failed) != 3 || !strings.HasSuffix(failed[0], ": no AWS credentials were found: log in (aws sso login), or set AWS_PROFILE") {
		t.Errorf("%v, %v", failed, err)
	}
}

func TestOneSecondWithTooMany(t *testing.T) {
	f := start(t)
	for i := range 30 {
		f.Groups["/aws/eks/prod/cluster"] = append(f.Groups["/aws/eks/prod/cluster"], insightsfake.Line{At: begin.Add(time.Minute), Text: event(i, "a:b", true, 200)})
	}
	s := source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true})
	s.limit = 20
	lines, failed, err := read(t, s)
	if err != nil || len(lines) != 20 || len(failed) != 1 ||
		failed[0] != "cloudwatch://eu-west-1/prod, 2026-11-22 03:30 to 04:00 UTC: more than 20 requests in the second 2026-11-22T03:31:00Z: Logs Insights shows no more" {
		t.Errorf("%d lines, %v, %v", len(lines), failed, err)
	}
}

// TestInterruptedQueriesAreStopped: nobody pays for a query whose answer is not
// awaited any more.
func TestInterruptedQueriesAreStopped(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/prod/cluster", 10)
	ctx, cancel := context.WithCancel(t.Context())
	f.End = func(string, time.Time, time.Time) string { return "Running" }
	f.Look = cancel
	s := source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true})
	err := s.Streams(ctx, func(auditlog.Stream) error { return nil })
	if !errors.Is(err, context.Canceled) || f.Stopped() == 0 {
		t.Errorf("%v, %d stopped", err, f.Stopped())
	}
}

func TestMarkedAccount(t *testing.T) {
	tests := []struct{ row, want string }{
		{event(1, "apps:web", true, 200), "system:serviceaccount:apps:web"},
		{event(1, "apps:web", false, 200), ""},
		{event(1, "apps:web|.*", true, 200), ""},
		{`{"user":{"username":"system:serviceaccount:a:b"},"requestObject":"seconds after warning threshold"}`, ""},
		{"{", ""},
	}
	for _, tt := range tests {
		if got := markedAccount([]byte(tt.row)); got != tt.want {
			t.Errorf("markedAccount(%s) = %q, want %q", tt.row, got, tt.want)
		}
	}
}

// TestSignaturesAreChecked: a wrong secret is refused as AWS does.
func TestSignaturesAreChecked(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/prod/cluster", 100)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	_, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true}))
	if err != nil || len(failed) != 3 || !strings.Contains(failed[0], ": InvalidSignatureException: ") {
		t.Errorf("%v, %v", failed, err)
	}
	if f.Queries() != 0 {
		t.Errorf("%d queries were taken with a wrong signature", f.Queries())
	}
}

// TestMoreRowsThanAnAnswerHas: 24,000 marks in two hours, of which an answer
// has 10,000 at most, come back whole, and none twice.
func TestMoreRowsThanAnAnswerHas(t *testing.T) {
	f := start(t)
	const n = 24000
	for i := range n {
		f.Groups["/aws/eks/prod/cluster"] = append(f.Groups["/aws/eks/prod/cluster"], insightsfake.Line{At: begin.Add(time.Duration(i) * 2 * time.Hour / n), Text: event(i, "apps:marked", true, 200)})
	}
	lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true}))
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if once := slices.Compact(slices.Sorted(slices.Values(lines))); len(once) != n || len(lines) != n {
		t.Errorf("%d lines, %d different ones, want %d", len(lines), len(once), n)
	}
	// Three spans, and the one of a whole hour was halved.
	if f.Queries() != 5 {
		t.Errorf("%d queries, want 5", f.Queries())
	}
}

// TestOtherStreamsAreLeftOut: a control plane's log group also holds the logs of
// its other programs.
func TestOtherStreamsAreLeftOut(t *testing.T) {
	f := start(t)
	f.Groups["/aws/eks/prod/cluster"] = []insightsfake.Line{
		{At: begin, Text: event(1, "apps:marked", true, 200)},
		{At: begin, Text: event(2, "apps:marked", true, 200), Stream: "authenticator-0123456789abcdef"},
	}
	lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/prod", Options{}))
	if err != nil || failed != nil || len(slices.Compact(lines)) != 1 {
		t.Errorf("%q, %v, %v", lines, failed, err)
	}
}

// TestRowsWithoutMessage are said, and count for the limit of rows.
func TestRowsWithoutMessage(t *testing.T) {
	f := start(t)
	for i := range 30 {
		f.Groups["/aws/eks/prod/cluster"] = append(f.Groups["/aws/eks/prod/cluster"], insightsfake.Line{At: begin.Add(time.Duration(i) * time.Minute), Text: event(i, "a:b", true, 200), Bare: i == 3})
	}
	s := source(t, "cloudwatch://eu-west-1/prod", Options{MarksOnly: true})
	s.limit = 20
	lines, failed, err := read(t, s)
	want := []string{"cloudwatch://eu-west-1/prod, 2026-11-22 03:30 to 04:00 UTC: 1 of 15 rows have no @message"}
	if diff := cmp.Diff(want, failed); err != nil || diff != "" || len(lines) != 29 {
		t.Errorf("%d lines, %v, failed (-want +got):\n%s", len(lines), err, diff)
	}
}

// TestFailingMidWay: what throttles, breaks off or fails in one of two clusters
// leaves the other hours and the other cluster whole.
func TestFailingMidWay(t *testing.T) {
	f := start(t)
	fill(f, "/aws/eks/a/cluster", 1000)
	fill(f, "/aws/eks/b/cluster", 1000)
	f.AtOnce = 3 // fewer than are asked at once
	f.AWS.Fail(awsfake.Fault{Action: "logs:GetQueryResults", Times: 3, Throttle: true})
	f.AWS.Fail(awsfake.Fault{Action: "logs:StartQuery", Times: 2, Status: 503})
	f.AWS.Fail(awsfake.Fault{Action: "logs:StartQuery", Times: 2, Reset: true})
	f.Fail = func(_ int, group string, from, _ time.Time) string {
		if group == "/aws/eks/b/cluster" && from.Hour() == 5 {
			return "ServiceUnavailableException"
		}
		return ""
	}
	lines, failed, err := read(t, source(t, "cloudwatch://eu-west-1/a,b", Options{MarksOnly: true}))
	want := []string{"cloudwatch://eu-west-1/b, 2026-11-22 05:00 to 05:30 UTC: ServiceUnavailableException: said by the stand-in"}
	if diff := cmp.Diff(want, failed); err != nil || diff != "" || len(lines) != 18 {
		t.Errorf("%d lines, %v, failed (-want +got):\n%s", len(lines), err, diff)
	}
}

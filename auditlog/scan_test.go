package auditlog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kubecred/kubecred/auditlog"
)

// event returns an audit event with the id.
func event(id string) string {
	return `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"` + id + `","stage":"ResponseComplete","requestURI":"/api/v1/pods?limit=1\u0026x=\"q\"","verb":"get","user":{"username":"system:serviceaccount:apps:web","uid":"u","groups":["a","b"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=9a60ceba"],"authentication.kubernetes.io/node-name":["n1"],"authentication.kubernetes.io/pod-name":["web-0"],"authentication.kubernetes.io/pod-uid":["p1"]}},"sourceIPs":["10.0.7.7","127.0.0.1"],"userAgent":"web/v1 (linux\u002famd64)","responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-22T04:11:41.133602Z","stageTimestamp":"2026-11-22T04:11:41.133602Z","annotations":{"authorization.k8s.io/decision":"allow","authentication.k8s.io/stale-token":"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"}}`
}

// collect scans the sources and returns the events' ids, sorted, and what the
// first event held.
func collect(t *testing.T, o auditlog.Options, sources ...auditlog.Source) ([]string, []string, []auditlog.Stats) {
	t.Helper()
	var mu sync.Mutex
	var ids, first []string
	stats, err := auditlog.Scan(t.Context(), sources, o, func(events []auditlog.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			ids = append(ids, string(e.AuditID))
			if first == nil {
				first = []string{string(e.Stage), string(e.Username), string(e.CredentialID), string(e.PodName), string(e.PodUID),
					string(e.NodeName), string(e.SourceIP), string(e.UserAgent), fmt.Sprint(e.Code), e.Time.Format(time.RFC3339Nano), string(e.Mark)}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids, first, stats
}

func text(s string) auditlog.Source { return auditlog.Reader("log", strings.NewReader(s)) }

func packed(t testing.TB, kind, s string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return s
	}
	io.WriteString(w, s)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFields(t *testing.T) {
	ids, first, _ := collect(t, auditlog.Options{}, text(event("e1")))
	want := []string{"ResponseComplete", "system:serviceaccount:apps:web", "JTI=9a60ceba", "web-0", "p1", "n1", "10.0.7.7",
		"web/v1 (linux/amd64)", "200", "2026-11-22T04:11:41.133602Z", "subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"}
	if !slices.Equal(ids, []string{"e1"}) || !slices.Equal(first, want) {
		t.Errorf("got %q %q", ids, first)
	}
}

// TestShapes holds every shape against the ids of the events in it, and the
// number of other objects, cut and corrupt lines.
func TestShapes(t *testing.T) {
	bare := func(id string) string {
		return strings.Replace(event(id), `"kind":"Event","apiVersion":"audit.k8s.io/v1",`, "", 1)
	}
	pretty := func(s string) string { return strings.NewReplacer(`,"`, ",\n  \"", `{"`, "{\n  \"").Replace(s) }
	list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + bare("a") + "," + bare("b") + "]}"
	imitation := strings.Replace(event("a"), `"annotations":{`, `"requestObject":{"metadata":{"annotations":{"x":"\"}{"}},"inner":`+event("inner")+`},"annotations":{`, 1)
	tests := []struct {
		name, in                  string
		ids                       string
		other, truncated, corrupt int64
	}{
		{"lines", event("a") + "\n" + event("b") + "\n", "a b", 0, 0, 0},
		{"no last newline", event("a") + "\n" + event("b"), "a b", 0, 0, 0},
		{"CRLF and blank lines", "\r\n" + event("a") + "\r\n\r\n" + event("b") + "\r\n", "a b", 0, 0, 0},
		{"byte order mark", "\xef\xbb\xbf" + event("a") + "\n", "a", 0, 0, 0},
		{"several on a line", event("a") + event("b") + " , " + event("c"), "a b c", 0, 0, 0},
		{"a list", list, "a b", 0, 0, 0},
		{"lists", list + "\n" + strings.ReplaceAll(strings.ReplaceAll(list, `"a"`, `"c"`), `"b"`, `"d"`), "a b c d", 0, 0, 0},
		{"a list whose kind comes last", `{"items":[` + bare("a") + `],"kind":"EventList"}`, "a", 0, 0, 0},
		{"an empty list", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}`, "", 1, 0, 0},
		{"a list over many lines", pretty(list), "a b", 0, 0, 0},
		{"an event over many lines", pretty(event("a")), "a", 0, 0, 0},
		{"events over many lines", pretty(event("a")) + "\n" + pretty(event("b")), "a b", 0, 0, 0},
		{"an array", "[" + event("a") + "," + event("b") + "]", "a b", 0, 0, 0},
		{"an array, an event a line", "[\n" + event("a") + ",\n" + event("b") + "\n]\n", "a b", 0, 0, 0},
		{"an event a line with commas", event("a") + ",\n" + event("b") + ",\n", "a b", 0, 0, 0},
		{"a time before the event", "2026-11-22T04:11:42.000Z " + event("a"), "a", 0, 0, 0},
		{"container runtime's prefix", "2026-11-22T04:11:42.000000001Z stdout F " + event("a"), "a", 0, 0, 0},
		{"not audit", `{"kind":"Event","apiVersion":"v1","auditID":"x","stage":"y"}` + "\n" + `{"a":1}` + "\n" + event("a"), "a", 2, 0, 0},
		{"cut line", event("a") + "\n" + event("b")[:700] + "\n" + event("c"), "a c", 0, 1, 0},
		{"cut line with an event behind it", event("a")[:300] + event("b") + "\n" + event("c"), "b c", 0, 1, 0},
		{"corrupt lines", "hello\n" + event("a") + "\n\x00\x01\x02\n{\"kind\" \"Event\"}\n", "a", 0, 0, 3},
		{"no time", strings.NewReplacer("requestReceivedTimestamp", "x", "stageTimestamp", "y").Replace(event("a")), "", 0, 0, 1},
		{"stage's time only", strings.Replace(event("a"), "requestReceivedTimestamp", "x", 1), "a", 0, 0, 0},
		{"unfit time", strings.ReplaceAll(event("a"), "2026-11-22T04", "2026-13-42T99"), "", 0, 0, 1},
		{"an event inside a request's object", imitation, "a", 0, 0, 0},
		{"an event inside a cut request's object", imitation[:len(imitation)-300], "", 0, 1, 0},
		{"rubbish of brackets", "{{{{{\n" + event("a"), "a", 0, 0, 1},
	}
	for _, tt := range tests {
		for _, kind := range []string{"plain", "gzip", "zstd"} {
			ids, _, stats := collect(t, auditlog.Options{}, text(packed(t, kind, tt.in)))
			s := stats[0]
			if got := strings.Join(ids, " "); got != tt.ids || s.Other != tt.other || s.Truncated != tt.truncated || s.Corrupt != tt.corrupt || s.Err != nil {
				t.Errorf("%s, %s: events %q, %d other, %d cut, %d corrupt, %v; want %q, %d, %d, %d", tt.name, kind,
					got, s.Other, s.Truncated, s.Corrupt, s.Err, tt.ids, tt.other, tt.truncated, tt.corrupt)
			}
		}
	}
}

func TestBadLineIsNamed(t *testing.T) {
	in := strings.Repeat(event("a")+"\n", 2000) + "oops\n" + strings.Repeat(event("a")+"\n", 1000) + "oops\n"
	_, _, stats := collect(t, auditlog.Options{Workers: 3}, text(in))
	if s := stats[0]; s.BadLine != 2001 || s.BadReason != "not JSON" || s.Corrupt != 2 || s.Events != 3000 {
		t.Errorf("%+v", s)
	}
}

// repeat is a reader of s, n times.
type repeat struct {
	s    string
	n    int
	rest string
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = r.s
	}
	k := copy(p, r.rest)
	r.rest = r.rest[k:]
	return k, nil
}

// TestLongLines: what is longer than a block is taken apart as it comes.
func TestLongLines(t *testing.T) {
	head, tail, _ := strings.Cut(event("big"), `"annotations":`)
	tail = `"annotations":` + tail
	object := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader(head+`"requestObject":{"data":"`), &repeat{s: strings.Repeat("x\\\"}", 250), n: n}, strings.NewReader(`"},`+tail))
	}
	line := func(r io.Reader) io.Reader {
		return io.MultiReader(strings.NewReader(event("a")+"\n"), r, strings.NewReader("\n"+event("b")+"\n"))
	}
	tests := []struct {
		name                     string
		in                       io.Reader
		ids                      string
		truncated, corrupt, long int64
	}{
		{"a request's object of 20 MB", line(object(20_000)), "a b big", 0, 0, 0},
		{"64 MB of nothing", line(&repeat{s: strings.Repeat("x", 1<<20), n: 64}), "a b", 0, 1, 0},
		{"64 MB in one string", line(io.MultiReader(strings.NewReader(`{"auditID":"`), &repeat{s: strings.Repeat("x", 1<<20), n: 64}, strings.NewReader(`"}`))), "a b", 0, 0, 1},
		{"64 MB without an end", line(io.MultiReader(strings.NewReader(`{"auditID":"`), &repeat{s: strings.Repeat("x", 1<<20), n: 64})), "a b", 1, 0, 0},
		{"brackets without an end", line(&repeat{s: strings.Repeat("[", 1<<20), n: 8}), "a b", 1, 0, 0},
		{"a list of 2 MB on a line", line(strings.NewReader(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` +
			strings.Repeat(event("i")+",", 1999) + event("i") + "]}")), "a b" + strings.Repeat(" i", 2000), 0, 0, 0},
	}
	for _, tt := range tests {
		ids, _, stats := collect(t, auditlog.Options{Workers: 2}, auditlog.Reader("log", tt.in))
		s := stats[0]
		if got := strings.Join(ids, " "); got != tt.ids || s.Truncated != tt.truncated || s.Corrupt != tt.corrupt || s.Long != tt.long {
			t.Errorf("%s: %.80q, %d cut, %d corrupt, %d long", tt.name, got, s.Truncated, s.Corrupt, s.Long)
		}
	}
}

func TestTruncatedArchives(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintln(&b, event(fmt.Sprint("e", i)))
	}
	for _, kind := range []string{"gzip", "zstd"} {
		whole := packed(t, kind, b.String())
		_, _, stats := collect(t, auditlog.Options{}, text(whole[:len(whole)-20]), text(event("z")))
		if s := stats[0]; s.Err == nil || !strings.Contains(s.Err.Error(), "the "+kind+" data ends too early") {
			t.Errorf("%s: %v", kind, s.Err)
		}
		if stats[1].Events != 1 {
			t.Errorf("%s: the other stream was not read", kind)
		}
	}
	_, _, stats := collect(t, auditlog.Options{}, text("\x1f\x8bnot gzip at all"))
	if s := stats[0]; s.Err == nil || s.Reason() != "the gzip data is damaged: gzip: invalid header" {
		t.Errorf("%v", s.Err)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, s string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("audit.log", event("a"))
	write("audit-1.log.gz", packed(t, "gzip", event("b")))
	write("old/audit-2.log", packed(t, "zstd", event("c"))) // the name says nothing
	write(".hidden/x.log", event("d"))
	write("empty.log", "")
	if runtime.GOOS != "windows" {
		for link, to := range map[string]string{"a-current.log": "audit.log", "current.log": "audit.log", "loop": ".", "older": "old", "a-older": "old", "old/up": ".."} {
			if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		ids, _, _ := collect(t, auditlog.Options{}, auditlog.Path(filepath.Join(dir, "older"))) // a link that is named itself
		if !slices.Contains(ids, "c") {
			t.Errorf("events %q of a linked folder", ids)
		}
	}
	ids, _, stats := collect(t, auditlog.Options{}, auditlog.Path(dir))
	if got := strings.Join(ids, " "); got != "a b c" {
		t.Errorf("events %q of %d streams", got, len(stats))
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "gone.log")
	_, _, stats := collect(t, auditlog.Options{}, auditlog.Path(name), text(event("a")))
	if stats[0].Reason() != "no such file" || stats[1].Events != 1 {
		t.Errorf("%+v", stats)
	}
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Log("skipped the file without permission: root reads everything, and Windows has no modes")
		return
	}
	if err := os.WriteFile(name, nil, 0); err != nil {
		t.Fatal(err)
	}
	_, _, stats = collect(t, auditlog.Options{}, auditlog.Path(name))
	if stats[0].Reason() != "permission denied" {
		t.Errorf("%+v", stats)
	}
}

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the line went dead")
	}
	return n, err
}

func TestFailureHalfWay(t *testing.T) {
	ids, _, stats := collect(t, auditlog.Options{}, auditlog.Reader("pipe", failing{strings.NewReader(event("a") + "\n" + event("b")[:99])}))
	if got := strings.Join(ids, " "); got != "a" || stats[0].Reason() != "the line went dead" {
		t.Errorf("%q %+v", got, stats[0])
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		io.WriteString(w, event("a")+"\n")
		cancel()
	}()
	_, err := auditlog.Scan(ctx, []auditlog.Source{auditlog.Reader("pipe", r)}, auditlog.Options{}, func([]auditlog.Event) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err %v", err)
	}
}

// refuse makes an event one of a request that was answered 401.
func refuse(event string) string {
	from := strings.Index(event, `"user":{`) + len(`"user":{`)
	to := strings.Index(event, `},"sourceIPs"`)
	return strings.Replace(event[:from]+event[to:], `"code":200`, `"code":401`, 1)
}

func TestMarksOnly(t *testing.T) {
	plain := strings.Replace(event("a"), "seconds after", "", 1)
	refused := refuse(plain)
	ids, _, stats := collect(t, auditlog.Options{MarksOnly: true}, text(plain+"\n"+strings.Replace(refused, `"a"`, `"r"`, 1)+"\n"+event("m")+"\n"))
	if got := strings.Join(ids, " "); got != "m r" || !stats[0].Skipped || stats[0].Events != 2 {
		t.Errorf("%q %+v", got, stats[0])
	}
}

// TestMemory: what is held does not grow with the input.
func TestMemory(t *testing.T) {
	in := &repeat{s: strings.Repeat(event("a")+"\n", 500), n: 400}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC() // what other tests left
	peak := watchHeap(t, func() { collectNothing(t, in) })
	if peak > 64<<20 {
		t.Errorf("%d MiB of heap for %d MB of text", peak>>20, 400*500*len(event("a"))>>20)
	}
}

func collectNothing(t *testing.T, r io.Reader) {
	if _, err := auditlog.Scan(t.Context(), []auditlog.Source{auditlog.Reader("log", r)}, auditlog.Options{}, func([]auditlog.Event) {}); err != nil {
		t.Fatal(err)
	}
}

// watchHeap returns the largest heap seen while f runs.
func watchHeap(t *testing.T, f func()) uint64 {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	var peak uint64
	var m runtime.MemStats
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-done:
			tick.Stop()
			return peak
		case <-tick.C:
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
}

// TestMarksOnlyFindsAll: looking for hits first loses none and counts lines right.
func TestMarksOnlyFindsAll(t *testing.T) {
	var b strings.Builder
	var want []string
	for i := range 5000 {
		e := strings.Replace(event(fmt.Sprintf("e%04d", i)), "authentication.k8s.io/stale-token", "other", 1)
		switch i % 7 {
		case 1:
			e = event(fmt.Sprintf("e%04d", i))
		case 2:
			e = refuse(e)
		case 3:
			e = strings.Replace(e, "web/v1", "seconds after warning threshold", 1) // in another place
		}
		if i%7 == 1 || i%7 == 2 {
			want = append(want, fmt.Sprintf("e%04d", i))
		}
		fmt.Fprintln(&b, e)
		if i == 4000 {
			b.WriteString(event("cut")[:800] + "seconds after warning threshold\n")
		}
	}
	for _, in := range []string{b.String(), strings.TrimSpace(b.String())} {
		ids, _, stats := collect(t, auditlog.Options{MarksOnly: true, Workers: 2}, text(in))
		if !slices.Equal(ids, want) {
			t.Errorf("%d hits, want %d", len(ids), len(want))
		}
		if s := stats[0]; s.BadLine != 4002 || s.Truncated != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// TestMarksOnlyInEnvelopes: what is wrapped is found too where it follows plain
// lines.
func TestMarksOnlyInEnvelopes(t *testing.T) {
	quoted := func(s string) string {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	native := strings.Replace(event("plain"), "authentication.k8s.io/stale-token", "other", 1)
	native = strings.Replace(native, "seconds after", "", 1) + "\n"
	refused := strings.Replace(refuse(native), "plain", "r", 1)
	anonymous := strings.Replace(refused, `"user":{}`, `"user":{"username":"system:anonymous","groups":["system:unauthenticated"]}`, 1)
	twice := quoted(`{"message":` + quoted(refused) + `}`)
	for name, line := range map[string]string{
		"refused":                 refused,
		"anonymous":               anonymous,
		"as a string":             `{"log":` + quoted(refused) + `}`,
		"anonymous, as a string":  `{"log":` + quoted(anonymous) + `}`,
		"as a string in a string": `{"log":` + twice + `}`,
		"in a list":               `{"kind":"EventList","items":[` + strings.TrimSpace(refused) + `]}`,
		"behind a time":           "2026-11-22T04:11:42.000Z " + refused,
		"Cloud Logging":           strings.Replace(strings.Replace(googleEntry, `"code":0`, `"code":16`, 1), `"id":"a"`, `"id":"r"`, 1),
	} {
		for n := range 3 {
			in := strings.Repeat(native, n) + strings.TrimSpace(line) + "\n" + native
			if ids, _, _ := collect(t, auditlog.Options{MarksOnly: true}, text(in)); !slices.Equal(ids, []string{"r"}) {
				t.Errorf("%s, %d plain lines before it: %q", name, n, ids)
			}
		}
	}
}

func TestParseMark(t *testing.T) {
	tests := []struct {
		in, subject string
		seconds     int64
		ok          bool
	}{
		{"subject: system:serviceaccount:a:b, seconds after warning threshold: 12", "system:serviceaccount:a:b", 12, true},
		{"subject: x, seconds after warning threshold: 0", "x", 0, true},
		{"subject: a, seconds after warning threshold: 1, seconds after warning threshold: 2", "a, seconds after warning threshold: 1", 2, true},
		{"subject: x, seconds after warning threshold: -1", "", 0, false},
		{"subject: x, seconds after warning threshold: +1", "", 0, false},
		{"subject: x, seconds after warning threshold: 1s", "", 0, false},
		{"subject: x, seconds after warning threshold: ", "", 0, false},
		{"subject: x, seconds after warning threshold: 99999999999999999999", "", 0, false},
		{"subject: x, seconds after warning threshold: 9999999999", "", 0, false},
		{"subject: , seconds after warning threshold: 1", "", 0, false},
		{" subject: x, seconds after warning threshold: 1", "", 0, false},
		{"", "", 0, false},
	}
	for _, tt := range tests {
		m, ok := auditlog.ParseMark([]byte(tt.in))
		if ok != tt.ok || string(m.Subject) != tt.subject || m.Seconds != tt.seconds {
			t.Errorf("ParseMark(%q) = %q, %d, %v", tt.in, m.Subject, m.Seconds, ok)
		}
	}
}

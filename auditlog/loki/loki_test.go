package loki_test

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/auditlog/loki"
	"github.com/kubecred/kubecred/satoken"
)

type line struct {
	at   int64
	text string
}

// fake answers query_range as Loki does: entries of the span, filtered, in
// order, no more than the limit, and none above what it allows.
type fake struct {
	mu      sync.Mutex
	lines   []line
	allows  int
	queries []*http.Request
	// trouble may answer in its place.
	trouble func(n int, w http.ResponseWriter, r *http.Request) bool
}

var filter = regexp.MustCompile("(\\|~|\\|=|!=) `([^`]*)`")

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, r)
	if f.trouble != nil && f.trouble(len(f.queries), w, r) {
		return
	}
	q := r.URL.Query()
	if r.URL.Path != "/loki/api/v1/query_range" || q.Get("direction") != "forward" || !strings.HasPrefix(q.Get("query"), `{job="kube-audit"} `) {
		http.Error(w, "unexpected "+r.URL.String(), http.StatusNotFound)
		return
	}
	start, _ := strconv.ParseInt(q.Get("start"), 10, 64)
	end, _ := strconv.ParseInt(q.Get("end"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit > f.allows {
		http.Error(w, fmt.Sprintf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", limit, f.allows), http.StatusBadRequest)
		return
	}
	type condition struct {
		holds bool
		re    *regexp.Regexp
	}
	var conditions []condition
	for _, m := range filter.FindAllStringSubmatch(q.Get("query"), -1) {
		text := m[2]
		if m[1] != "|~" {
			text = regexp.QuoteMeta(text)
		}
		conditions = append(conditions, condition{m[1] != "!=", regexp.MustCompile(text)})
	}
	values := [2][][]any{}
	n := 0
next:
	for _, l := range f.lines {
		if l.at < start || l.at >= end || n == limit {
			continue
		}
		for _, c := range conditions {
			if c.re.MatchString(l.text) != c.holds {
				continue next
			}
		}
		values[n%2] = append(values[n%2], []any{strconv.FormatInt(l.at, 10), l.text, map[string]string{}})
		n++
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "streams", "result": []any{
		map[string]any{"stream": map[string]string{"node": "a"}, "values": values[0]},
		map[string]any{"stream": map[string]string{"node": "b"}, "values": values[1]},
	}}})
}

const logFile = "../../examples/audit-kube-apiserver-1.35.4.log.gz"

func newFake(t *testing.T) (*fake, string) {
	t.Helper()
	file, err := os.Open(filepath.FromSlash(logFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{allows: 5000}
	for text := range strings.Lines(string(data)) {
		var e struct{ StageTimestamp time.Time }
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		f.lines = append(f.lines, line{e.StageTimestamp.UnixNano(), strings.TrimSpace(text)})
	}
	slices.SortStableFunc(f.lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return f, "loki+" + srv.URL + `/?query={job="kube-audit"}`
}

var at = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

func source(t *testing.T, location string, o loki.Options) *loki.Source {
	t.Helper()
	if o.From.IsZero() {
		o.From, o.To = at.Add(-3*time.Hour), at.Add(10*time.Second)
	}
	o.Wait = time.Millisecond
	s, err := loki.New(location, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func judge(t *testing.T, src auditlog.Source) (satoken.Judgement, []auditlog.Stats) {
	t.Helper()
	tally := satoken.NewTally(satoken.TallyOptions{})
	stats, err := auditlog.Scan(t.Context(), []auditlog.Source{src}, auditlog.Options{}, tally.Add)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := satoken.ParseProfile("eks")
	return tally.Judge(satoken.JudgeOptions{Now: at, Profile: p}), stats
}

// TestSameReport: what comes back from Loki says the same as the whole log,
// however small its pages are.
func TestSameReport(t *testing.T) {
	want, _ := judge(t, auditlog.Path(filepath.FromSlash(logFile)))
	for _, allows := range []int{5000, 7, 3} {
		f, location := newFake(t)
		f.allows = allows
		got, stats := judge(t, source(t, location, loki.Options{}))
		want.Seen = got.Seen // tokens of accounts without a mark stay in Loki
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("pages of %d: -log +loki\n%s", allows, d)
		}
		lines := int64(0)
		for _, s := range stats {
			if s.Err != nil {
				t.Errorf("%s: %v", s.Name, s.Err)
			}
			lines += s.Events
		}
		if lines > 200 {
			t.Errorf("%d events came back, of %d", lines, len(f.lines))
		}
	}
}

func TestMarksOnly(t *testing.T) {
	f, location := newFake(t)
	judge(t, source(t, location, loki.Options{MarksOnly: true}))
	for _, r := range f.queries {
		if !strings.Contains(r.URL.Query().Get("query"), "seconds after warning threshold|") {
			t.Errorf("asked %s", r.URL.Query().Get("query"))
		}
	}
}

func TestCredentialsAreSent(t *testing.T) {
	f, location := newFake(t)
	judge(t, source(t, location, loki.Options{User: "u", Password: "p", OrgID: "team", MarksOnly: true}))
	if user, password, _ := f.queries[0].BasicAuth(); user != "u" || password != "p" || f.queries[0].Header.Get("X-Scope-OrgID") != "team" {
		t.Errorf("sent %v", f.queries[0].Header)
	}
	f.queries = nil
	judge(t, source(t, location, loki.Options{Token: "tok", MarksOnly: true}))
	if got := f.queries[0].Header.Get("Authorization"); got != "Bearer tok" {
		t.Errorf("sent %q", got)
	}
}

// TestTrouble: what is busy is asked again; an hour that fails is named, and
// the others are kept.
func TestTrouble(t *testing.T) {
	f, location := newFake(t)
	f.trouble = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n%3 != 1 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		http.Error(w, "too many outstanding requests", http.StatusTooManyRequests)
		return true
	}
	j, stats := judge(t, source(t, location, loki.Options{}))
	if len(j.Tokens) != 10 {
		t.Errorf("%d tokens", len(j.Tokens))
	}
	for _, s := range stats {
		if s.Err != nil {
			t.Errorf("%s: %v", s.Name, s.Err)
		}
	}

	f.trouble = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
		if time.Unix(0, start).UTC().Hour() != 2 {
			return false
		}
		http.Error(w, "no\x1b[31m space left", http.StatusInternalServerError)
		return true
	}
	j, stats = judge(t, source(t, location, loki.Options{MarksOnly: true}))
	var failed []string
	for _, s := range stats {
		if s.Err != nil {
			failed = append(failed, s.Name[strings.Index(s.Name, ","):]+" "+s.Err.Error())
		}
	}
	if len(j.Tokens) != 7 || len(failed) != 1 || !strings.HasPrefix(failed[0], ", 2026-11-22 02:00 to 03:00 UTC loki answered 500 Internal Server Error: no") {
		t.Errorf("%d tokens, failed %q", len(j.Tokens), failed)
	}
}

// TestClosedDoor: who is not let in for one hour is not let in for another, and
// does not ask for each of the ninety days' hours.
func TestClosedDoor(t *testing.T) {
	calls := 0
	down := roundTrip(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, errors.New("connection refused")
	})
	day := loki.Options{From: at.Add(-24 * time.Hour), To: at, Client: &http.Client{Transport: down}}
	_, stats := judge(t, source(t, "loki+http://127.0.0.1:1/?query={a=\"b\"}", day))
	if calls != 2 || len(stats) != 2 || stats[0].Err == nil || stats[1].Err == nil || !strings.HasSuffix(stats[1].Name, " to 2026-11-22 04:13 UTC") {
		t.Errorf("%d calls, %+v", calls, stats)
	}

	f, location := newFake(t)
	calls = 0
	f.trouble = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		calls++
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	day.Client = nil
	if _, stats = judge(t, source(t, location, day)); calls != 1 || len(stats) != 2 {
		t.Errorf("%d calls, %+v", calls, stats)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRefusals(t *testing.T) {
	answer := func(code int, body string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			io.WriteString(w, body)
			return true
		}
	}
	for _, tt := range []struct {
		code       int
		body, want string
	}{
		{401, "no", "loki answered 401 Unauthorized: no (LOKI_USERNAME and LOKI_PASSWORD, or LOKI_BEARER_TOKEN, and LOKI_ORG_ID are sent where they are set)"},
		{400, "parse error at line 1", "loki answered 400 Bad Request: parse error at line 1"},
		{200, "<html>", "loki's answer: invalid character '<' looking for beginning of value"},
		{200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, `loki's answer holds "matrix" and no log lines: the query must select a log, without a metric around it`},
		{200, `{"status":"success","data":{"resultType":"streams","result":[{"values":[["x","y"]]}]}}`, `loki's answer: the time "x" of an entry`},
		{200, `{"status":"success","data":{"resultType":"streams","result":[{"values":[[1]]}]}}`, "loki's answer: an entry without a time and a line"},
	} {
		f, location := newFake(t)
		f.trouble = answer(tt.code, tt.body)
		_, stats := judge(t, source(t, location, loki.Options{From: at.Add(-time.Minute), To: at, MarksOnly: true}))
		if len(stats) != 1 || stats[0].Err == nil || stats[0].Err.Error() != tt.want {
			t.Errorf("%d %s: %+v, want %s", tt.code, tt.body, stats, tt.want)
		}
		if len(f.queries) != 1 {
			t.Errorf("%d %s: asked %d times", tt.code, tt.body, len(f.queries))
		}
	}
}

// TestOneMoment: more entries at one nanosecond than a page holds can't be paged
// through, which is said and ends.
func TestOneMoment(t *testing.T) {
	f, location := newFake(t)
	f.allows = 5
	for i := range f.lines {
		f.lines[i].at = at.Add(-time.Minute).UnixNano()
	}
	_, stats := judge(t, source(t, location, loki.Options{From: at.Add(-2 * time.Minute), To: at, MarksOnly: true}))
	if s := stats[0]; s.Err == nil || s.Err.Error() != "more than 4 entries at one moment, 2026-11-22T04:12:00Z: Loki can't page through them" {
		t.Errorf("%v", s.Err)
	}
}

func TestLocations(t *testing.T) {
	o := loki.Options{From: at.Add(-time.Hour), To: at}
	for in, want := range map[string]string{
		"loki+http://":                            `loki+http://: write it like loki+https://HOST/?query={job="kube-audit"}`,
		"loki+https://h":                          `loki+https://h: the query is missing: add ?query={job="kube-audit"}, the selector of the audit log`,
		"loki+https://h/?query=x":                 `loki+https://h/?query=x: the query is missing: add ?query={job="kube-audit"}, the selector of the audit log`,
		`loki+https://me:secret@h/?query={a="b"}`: `loki+https://...@h/?query={a="b"}: put the user and password into LOKI_USERNAME and LOKI_PASSWORD, since others see the arguments of a program`,
	} {
		if _, err := loki.New(in, o); err == nil || err.Error() != want {
			t.Errorf("New(%s): %v, want %s", in, err, want)
		}
	}
	if _, err := loki.New(`loki+https://h/prefix/?query={job="kube-audit"}`, o); err != nil {
		t.Error(err)
	}
}

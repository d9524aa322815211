//go:build unix

package e2e

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/conformance/lab"
)

// faults is a proxy in front of a Loki that answers some requests itself.
type faults struct {
	*httptest.Server
	mu    sync.Mutex
	asked int
	// fault answers the nth request, counted from 1, and returns true, or lets
	// it pass.
	fault func(n int, w http.ResponseWriter, r *http.Request) bool
}

func faultsBefore(t *testing.T, target string) *faults {
	t.Helper()
	to := must[*url.URL](t)(url.Parse(target))
	proxy := httputil.NewSingleHostReverseProxy(to)
	f := &faults{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked++
		done := f.fault != nil && f.fault(f.asked, w, r)
		f.mu.Unlock()
		if !done {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// TestLokiThroughTrouble has a Loki that gives 40 entries at once, behind a proxy
// that throttles, breaks off and fails: what passes gives the report of the
// file, and what does not is named.
func TestLokiThroughTrouble(t *testing.T) {
	t.Parallel()
	ctx := within(t, 20*time.Minute) // building Loki takes most of it, once
	loki := must[*lab.Loki](t)(shared.Loki(ctx, "max_entries_limit_per_query: 40"))
	name := must[string](t)(filepath.Abs("../../examples/audit-kube-apiserver-1.35.4.log.gz"))
	opened := must[*os.File](t)(os.Open(name))
	defer opened.Close()
	text := must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(opened))))
	if err := loki.PushAudit(ctx, string(text), map[string]string{"job": "kube-audit"}); err != nil {
		t.Fatal(err)
	}
	proxy := faultsBefore(t, loki.URL)
	source := "loki+" + proxy.URL + `/?query={job="kube-audit"}`
	report := func(source string) (v map[string]any, status int) {
		out := kubecred(t, "tokens", "scan", "--profile", "eks", "--now", "2026-11-22T04:13:00Z", "-o", "json", source)
		if err := json.Unmarshal([]byte(out.Stdout), &v); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		delete(v, "sources")
		return v, out.Status
	}
	want, _ := report(name)
	// Loki shows what it was given some moments later.
	waitFor(t, ctx, "Loki has the log", func() bool { got, _ := report(source); return cmp.Equal(want, got) })

	proxy.mu.Lock()
	proxy.asked = 0
	proxy.fault = func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1, 2, 9:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many outstanding requests", http.StatusTooManyRequests)
		case 5:
			http.Error(w, "the querier is going away", http.StatusServiceUnavailable)
		case 7: // half an answer
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["17`)
		default:
			return false
		}
		return true
	}
	proxy.mu.Unlock()
	got, status := report(source)
	if diff := cmp.Diff(want, got); diff != "" || status != 1 {
		t.Errorf("status %d; the report through trouble differs from that of the file (-file +Loki):\n%s", status, diff)
	}
	proxy.mu.Lock()
	if proxy.asked < 20 {
		t.Errorf("%d requests: with pages of 40 entries there are more", proxy.asked)
	}
	// One hour fails for good, after its first pages.
	pages := 0
	proxy.fault = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("start") < "1795320000000000000" || r.URL.Query().Get("limit") != "39" && pages == 0 {
			return false
		}
		if pages++; pages < 2 {
			return false
		}
		http.Error(w, "this hour's chunks are gone", http.StatusBadRequest)
		return true
	}
	proxy.mu.Unlock()
	out := kubecred(t, "tokens", "scan", "--profile", "eks", "--now", "2026-11-22T04:13:00Z", "--fail-on", "error", source)
	wantStatus(t, out, 1)
	wantText(t, out.Stdout, "KC306  loki "+strings.TrimPrefix(proxy.URL, "http://")+", 2026-11-22 04:00 to 04:13 UTC: could not be read to its end: loki answered 400 Bad Request: this hour's chunks are gone, after 39 events up to 2026-11-22 04:1")
}

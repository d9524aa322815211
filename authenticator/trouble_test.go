package authenticator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func TestOutage(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CacheTTL = time.Minute })
	token := tokenAt(t, alice, time.Now())
	if r := ask(t, w, "v1", token); !r.review.Status.Authenticated {
		t.Fatal(r.raw)
	}
	w.aws.Fail(awsfake.Fault{Action: "*", Status: 500})
	w.clock.Store(int64(2 * time.Minute)) // no longer fresh, still alive
	if r := ask(t, w, "v1", token); r.code != 200 || !r.review.Status.Authenticated || !strings.Contains(w.log.String(), `"cache":"stale"`) {
		t.Errorf("an identity that is known is not served while STS is down: %d %s", r.code, r.raw)
	}
	other := w.session("admin", "bob")
	now := time.Now().Add(2 * time.Minute)
	for i := range 12 {
		r := ask(t, w, "v1", tokenAt(t, other, now.Add(-time.Duration(i)*time.Second)))
		if r.code != 503 || r.header.Get("Retry-After") == "" || r.review.Status.Authenticated {
			t.Errorf("%d %s", r.code, r.raw)
		}
	}
	stopped := len(w.aws.Calls())
	if stopped > 8 {
		t.Errorf("the breaker let %d calls through", stopped)
	}
	// One region's trouble is named, and is not the others'.
	if notes := fmt.Sprint(w.Notes()); notes != "[STS at sts.eu-west-1.amazonaws.com is asked only now and then: InternalFailure: it answers with status 500]" {
		t.Errorf("notes: %s", notes)
	}
	if got := w.gathered(t)["kubecred_authenticator_sts_up sts.eu-west-1.amazonaws.com"]; got != 0 {
		t.Errorf("sts_up is %v", got)
	}
	w.aws.Mend()
	elsewhere, _ := ekstoken.LookupHost("sts.eu-central-1.amazonaws.com")
	abroad, err := ekstoken.Sign(other, ekstoken.Request{ClusterID: "demo", Endpoint: elsewhere, Time: now})
	if err != nil {
		t.Fatal(err)
	}
	if r := ask(t, w, "v1", abroad); !r.review.Status.Authenticated {
		t.Errorf("a token for another region is kept waiting: %d %s", r.code, r.raw)
	}
	w.aws.Skew(2*time.Minute + 30*time.Second)
	w.clock.Store(int64(2*time.Minute + 30*time.Second))
	if r := ask(t, w, "v1", tokenAt(t, other, now)); !r.review.Status.Authenticated {
		t.Errorf("not served again after the outage: %d %s", r.code, r.raw)
	}
	if notes := w.Notes(); notes != nil || w.gathered(t)["kubecred_authenticator_sts_up sts.eu-west-1.amazonaws.com"] != 1 {
		t.Errorf("after the outage: %v", notes)
	}
	w.aws.Fail(awsfake.Fault{Action: "*", Status: 500})
	w.clock.Store(int64(16 * time.Minute))
	if r := ask(t, w, "v1", token); r.review.Status.Authenticated {
		t.Error("a token is taken beyond its life")
	}
}

func TestThrottling(t *testing.T) {
	w := newWorld(t, nil)
	w.aws.Fail(awsfake.Fault{Action: "*", Throttle: true})
	first := ask(t, w, "v1", tokenAt(t, alice, time.Now()))
	if first.code != 429 || first.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", first.code, first.header)
	}
	w.aws.Mend()
	calls := len(w.aws.Calls())
	second := ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Second)))
	if second.code != 429 || len(w.aws.Calls()) != calls {
		t.Errorf("a principal that STS throttles asks again at once: %d", second.code)
	}
	if r := ask(t, w, "v1", tokenAt(t, w.session("admin", "bob"), time.Now())); !r.review.Status.Authenticated {
		t.Errorf("another principal suffers: %s", r.raw)
	}
	w.clock.Store(int64(20 * time.Second))
	if r := ask(t, w, "v1", tokenAt(t, alice, time.Now())); !r.review.Status.Authenticated {
		t.Errorf("%s", r.raw)
	}
}

// slow is a verifier that waits to be told.
type slow struct {
	Verifier
	calls   atomic.Int32
	began   chan struct{} // one in it for each call
	release chan struct{}
}

func newSlow(v Verifier) *slow {
	return &slow{Verifier: v, began: make(chan struct{}, 100), release: make(chan struct{})}
}

func (s *slow) Ask(ctx context.Context, t ekstoken.Token) (verify.Identity, error) {
	s.calls.Add(1)
	s.began <- struct{}{}
	select {
	case <-s.release:
	case <-ctx.Done():
		return verify.Identity{}, ctx.Err()
	}
	return s.Verifier.Ask(ctx, t)
}

func TestSingleFlight(t *testing.T) {
	var v *slow
	w := newWorld(t, func(o *Options) {
		v = newSlow(o.Verifier)
		o.Verifier = v
	})
	token := tokenAt(t, alice, time.Now())
	// The first to ask goes away; the others must not suffer.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body("v1", token)))
		w.ServeHTTP(httptest.NewRecorder(), req)
	}()
	<-v.began
	cancel()
	var wg sync.WaitGroup
	var good atomic.Int32
	for range 20 {
		wg.Go(func() {
			if ask(t, w, "v1", token).review.Status.Authenticated {
				good.Add(1)
			}
		})
	}
	close(v.release)
	wg.Wait()
	<-gone
	if good.Load() != 20 || v.calls.Load() != 1 {
		t.Errorf("%d of 20 after %d calls", good.Load(), v.calls.Load())
	}
}

func TestLimits(t *testing.T) {
	var v *slow
	w := newWorld(t, func(o *Options) {
		v = newSlow(o.Verifier)
		o.Verifier = v
		o.Limits = Limits{InFlight: 3, InFlightPerPrincipal: 2}
	})
	results := make(chan int, 3)
	for i := range 2 {
		go func() {
			results <- ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Duration(i)*time.Second))).code
		}()
	}
	<-v.began
	<-v.began
	if r := ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-5*time.Second))); r.code != 429 || r.header.Get("Retry-After") != "1" {
		t.Errorf("the third call of a principal: %d", r.code)
	}
	bob := w.session("admin", "bob")
	go func() { results <- ask(t, w, "v1", tokenAt(t, bob, time.Now())).code }()
	<-v.began
	if r := ask(t, w, "v1", tokenAt(t, w.session("other", "x"), time.Now())); r.code != 429 {
		t.Errorf("the fourth call of all: %d", r.code)
	}
	close(v.release)
	for range 3 {
		if code := <-results; code != 200 {
			t.Errorf("a call within the limits: %d", code)
		}
	}
	t.Run("rate", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Limits = Limits{QPSPerPrincipal: 1} })
		codes := map[int]int{}
		for i := range 6 {
			codes[ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Duration(i)*time.Second))).code]++
		}
		if codes[429] < 3 || codes[200] < 2 {
			t.Errorf("%v", codes)
		}
	})
}

func TestCacheOff(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CacheSize = -1 })
	token := tokenAt(t, alice, time.Now())
	for range 3 {
		if r := ask(t, w, "v1", token); !r.review.Status.Authenticated {
			t.Fatal(r.raw)
		}
	}
	if n := len(w.aws.Calls()); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

// busy is a verifier whose connections to STS are all in use.
type busy struct {
	Verifier
	asked atomic.Int32
}

func (b *busy) Ask(context.Context, ekstoken.Token) (verify.Identity, error) {
	b.asked.Add(1)
	return verify.Identity{}, &verify.Error{Kind: verify.Throttled, Message: "busy", RetryAfter: time.Second, Err: verify.ErrBusy}
}

// TestBusyIsNotSTSsFault: where calls do not get a turn here, the API server is
// told to come again, and STS and the principal are not blamed.
func TestBusyIsNotSTSsFault(t *testing.T) {
	var b *busy
	w := newWorld(t, func(o *Options) {
		b = &busy{Verifier: o.Verifier}
		o.Verifier = b
	})
	for i := range 3 * tripAfter {
		r := ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Duration(i)*time.Second)))
		if r.code != 429 || r.header.Get("Retry-After") != "1" {
			t.Errorf("%d %v %s", r.code, r.header, r.raw)
		}
	}
	if n := b.asked.Load(); n != 3*tripAfter || len(w.Notes()) > 0 {
		t.Errorf("%d were let through, and it says %v", n, w.Notes())
	}
}

package authenticator

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
)

// Verifier says who signed a token. *verify.Verifier is one.
type Verifier interface {
	// Check makes the checks that need no network.
	Check(token string) (ekstoken.Token, error)
	// Ask asks STS. Errors of both are *verify.Error.
	Ask(ctx context.Context, t ekstoken.Token) (verify.Identity, error)
}

// Options configure a Handler.
type Options struct {
	Verifier Verifier
	// Mappings say who a principal is in the cluster.
	Mappings *Mappings
	// Instances finds names of EC2 instances; nil where none can be found.
	Instances iammap.Resolver
	// CacheTTL is for how long STS is not asked again about a token that it
	// knew; 0 for 5 minutes. A token is never taken beyond its own life. While
	// STS can not be asked, what it said last counts to the end of that life.
	CacheTTL time.Duration
	// CacheSize is how many tokens are remembered; 0 for 16384, negative for
	// none, so that STS is asked about each review.
	CacheSize int
	Limits    Limits
	// ScrubbedAccounts are left out of logs and of the extra fields.
	ScrubbedAccounts []string
	Log              *slog.Logger          // nil: none
	Metrics          prometheus.Registerer // nil: none
	Now              func() time.Time
}

// Handler answers TokenReviews. Its methods may be called by any number of
// goroutines.
type Handler struct {
	o        Options
	good     *cache // identities
	bad      *cache // refusals, apart so that a flood of them pushes out nobody
	flights  flights
	gate     *gate
	metrics  *metrics
	breakers sync.Map // STS host -> *breaker
}

// badTTL is for how long a refusal of STS is remembered. A refused token does
// not become a good one, but a new access key takes some seconds to be known
// everywhere.
const badTTL = 10 * time.Second

// New returns a handler for POST requests of TokenReviews, wherever it is
// mounted.
func New(o Options) (*Handler, error) {
	if o.Verifier == nil || o.Mappings == nil {
		return nil, errors.New("authenticator: a Verifier and Mappings are needed")
	}
	if o.CacheTTL == 0 {
		o.CacheTTL = 5 * time.Minute
	}
	switch {
	case o.CacheSize == 0:
		o.CacheSize = 16384
	case o.CacheSize < 0:
		o.CacheSize = 0
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{o: o, good: newCache(o.CacheSize), bad: newCache(min(o.CacheSize, max(o.CacheSize/8, 16))), gate: newGate(o.Limits)}
	h.metrics = newMetrics(o.Metrics, h)
	return h, nil
}

// ServeHTTP answers one review.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.answer(w, r) }

// answer answers a request and tells whether it was a review.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) bool {
	start := h.o.Now()
	req, err := readReview(w, r)
	if err != nil {
		bad, _ := errors.AsType[*badRequest](err)
		h.metrics.done(resultBadRequest, h.o.Now().Sub(start))
		h.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "bad request", slog.String("reason", bad.message), slog.Int("status", bad.status), slog.String("client", r.RemoteAddr))
		http.Error(w, bad.message, bad.status)
		return false
	}
	sum, a, cached := h.find(r.Context(), req.Spec.Token, start)
	body := a.body(req.APIVersion)
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if after := a.retryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(a.code())
	_, _ = w.Write(body)                      // who is gone is told nothing
	_ = http.NewResponseController(w).Flush() // the log can wait, who asked can not
	h.done(r.Context(), sum, a, cached, start)
	return true
}

// find decides about a token, and says whether STS was asked.
func (h *Handler) find(ctx context.Context, token string, start time.Time) (sum key, a *answer, cached string) {
	var room [2 << 10]byte // most tokens fit, and need no copy on the heap
	sum = sha256.Sum256(append(room[:0], token...))
	a, cached = h.review(ctx, sum, token, start)
	return sum, a, cached
}

// done counts a review and logs it.
func (h *Handler) done(ctx context.Context, sum key, a *answer, cached string, start time.Time) {
	took := h.o.Now().Sub(start)
	h.metrics.done(a.decision.result, took)
	h.log(ctx, sum, a, cached, took)
}

var jsonType = []string{"application/json"}

// review decides.
func (h *Handler) review(ctx context.Context, sum key, token string, now time.Time) (a *answer, cached string) {
	kn, cached, err := h.identify(ctx, sum, token, now)
	if err == nil && kn.refused != nil {
		err = kn.refused
	}
	if err != nil {
		return h.deny(sum, err), cached
	}
	table := h.o.Mappings.Table()
	if a := kn.answer.Load(); a != nil && a.table == table && (a.resolvedTill.IsZero() || now.Before(a.resolvedTill)) {
		return a, cached
	}
	a = h.decide(ctx, table, kn, sum, now)
	if a.decision.retry == 0 {
		kn.answer.Store(a)
	}
	return a, cached
}

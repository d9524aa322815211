package authenticator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.o.Now()
	req, err := readReview(w, r)
	if err != nil {
		bad, _ := errors.AsType[*badRequest](err)
		h.metrics.done(resultBadRequest, h.o.Now().Sub(start))
		h.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "bad request", slog.String("reason", bad.message), slog.Int("status", bad.status), slog.String("client", r.RemoteAddr))
		http.Error(w, bad.message, bad.status)
		return
	}
	sum := key(sha256.Sum256([]byte(req.Spec.Token)))
	a := h.review(r.Context(), sum, req.Spec.Token, start)
	w.Header()["Content-Type"] = jsonType
	code := http.StatusOK
	body := a.forms.body(req.APIVersion)
	if a.decision.retry > 0 {
		code = http.StatusServiceUnavailable
		if a.decision.result == resultThrottled {
			code = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", strconv.Itoa(int((a.decision.retry+time.Second-1)/time.Second)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)                      // who is gone is told nothing
	_ = http.NewResponseController(w).Flush() // the log can wait, who asked can not
	took := h.o.Now().Sub(start)
	h.metrics.done(a.decision.result, took)
	h.log(r.Context(), sum, a, took)
}

var jsonType = []string{"application/json"}

// decision is the outcome of a review, for the log.
type decision struct {
	result   string
	reason   string
	cached   string // hit, stale, shared or miss
	user     iammap.ClusterUser
	id       iammap.Identity
	entry    string // the file and line that mapped it
	endpoint string
	cluster  string
	retry    time.Duration
	scrubbed bool
}

// review decides.
func (h *Handler) review(ctx context.Context, sum key, token string, now time.Time) *answer {
	kn, cached, err := h.identify(ctx, sum, token, now)
	if err == nil && kn.refused != nil {
		err = kn.refused
	}
	if err != nil {
		return h.deny(sum, cached, err)
	}
	table := h.o.Mappings.Table()
	if a := kn.answer.Load(); a != nil && a.table == table && (a.resolvedTill.IsZero() || now.Before(a.resolvedTill)) {
		if a.decision.cached == cached {
			return a
		}
		again := *a
		again.decision.cached = cached
		kn.answer.Store(&again)
		return &again
	}
	a := h.decide(ctx, table, kn, sum, now)
	a.decision.cached = cached
	if a.decision.retry == 0 {
		kn.answer.Store(a)
	}
	return a
}

// identify finds out who a token is: from the cache, by joining a call that is
// under way, or by asking STS.
func (h *Handler) identify(ctx context.Context, sum key, token string, now time.Time) (*known, string, error) {
	kn := h.good.get(sum, now)
	if kn != nil && now.Before(kn.fresh) {
		return kn, "hit", nil
	}
	if bad := h.bad.get(sum, now); bad != nil {
		return bad, "hit", nil
	}
	t, err := h.o.Verifier.Check(token)
	if err != nil {
		return nil, "", err
	}
	fl, mine := h.flights.join(sum)
	cached := "shared"
	if mine {
		// Not with the request's context: who joins must not suffer when the
		// first to ask goes away. Ask has its own bound on time.
		cached = "miss"
		h.fly(context.WithoutCancel(ctx), sum, fl, t)
	}
	select {
	case <-fl.done:
	case <-ctx.Done():
		if !mine {
			return nil, cached, &verify.Error{Kind: verify.Unavailable, Message: "the API server did not wait", RetryAfter: time.Second}
		}
	}
	if fl.err != nil && kn != nil && retryable(fl.err) {
		return kn, "stale", nil
	}
	return fl.known, cached, fl.err
}

func retryable(err error) bool {
	e, ok := errors.AsType[*verify.Error](err)
	return ok && (e.Kind == verify.Unavailable || e.Kind == verify.Throttled)
}

// fly asks STS within the limits and lands the flight, also after a panic.
func (h *Handler) fly(ctx context.Context, sum key, fl *flight, t ekstoken.Token) {
	kn, err := (*known)(nil), error(&verify.Error{Kind: verify.Unavailable, Message: "failed inside"})
	defer func() {
		if p := recover(); p != nil {
			h.o.Log.Error("panic while asking STS", "panic", p)
		}
		h.flights.land(sum, fl, kn, err)
	}()
	// Another flight may have landed between the look into the cache and this.
	now := h.o.Now()
	if kn = h.good.get(sum, now); kn != nil && now.Before(kn.fresh) {
		err = nil
		return
	}
	kn, err = h.ask(ctx, sum, t)
}

func (h *Handler) ask(ctx context.Context, sum key, t ekstoken.Token) (*known, error) {
	now := h.o.Now()
	b := h.breaker(t.Endpoint.Host)
	if e := b.allow(now); e != nil {
		h.metrics.sts(t.Endpoint.Host, "not asked", 0)
		return nil, e
	}
	if e := h.gate.enter(t.AccessKeyID, now); e != nil {
		b.skip()
		h.metrics.sts(t.Endpoint.Host, "not asked", 0)
		return nil, e
	}
	id, err := h.o.Verifier.Ask(ctx, t)
	after := h.o.Now()
	var e *verify.Error
	if err != nil {
		var ok bool
		if e, ok = errors.AsType[*verify.Error](err); !ok {
			e = &verify.Error{Kind: verify.Unavailable, Message: "failed", Err: err}
		}
	}
	h.gate.leave(t.AccessKeyID, after, e)
	b.report(after, e)
	outcome := "identified"
	if e != nil {
		outcome = string(e.Kind)
	}
	h.metrics.sts(t.Endpoint.Host, outcome, after.Sub(now))
	if e != nil {
		if !retryable(e) {
			kn := &known{refused: e, endpoint: t.Endpoint.Host, expires: after.Add(badTTL)}
			h.bad.put(sum, kn)
			h.good.drop(sum)
			return kn, nil
		}
		return nil, e
	}
	kn, err := newKnown(id, after, h.o.CacheTTL)
	if err != nil {
		return nil, err
	}
	h.good.put(sum, kn)
	return kn, nil
}

func (h *Handler) breaker(host string) *breaker {
	if b, ok := h.breakers.Load(host); ok {
		return b.(*breaker)
	}
	b, _ := h.breakers.LoadOrStore(host, &breaker{})
	return b.(*breaker)
}

// newKnown makes STS's words into an identity that mappings understand.
func newKnown(id verify.Identity, now time.Time, ttl time.Duration) (*known, error) {
	kind, canonical, err := iammap.Canonical(id.ARN)
	if err != nil {
		return nil, &verify.Error{Kind: verify.Unavailable, Endpoint: id.Endpoint, Message: "the answer's ARN is none of a caller", Err: err}
	}
	userID, session := id.UserID, ""
	if kind == iammap.AssumedRole {
		userID, session, _ = strings.Cut(id.UserID, ":")
	}
	fresh := now.Add(ttl)
	if fresh.After(id.ExpiresAt) {
		fresh = id.ExpiresAt
	}
	return &known{
		id: iammap.Identity{
			ARN: id.ARN, Canonical: canonical, Account: id.Account,
			UserID: userID, Session: session, AccessKeyID: id.AccessKeyID,
		},
		endpoint: id.Endpoint, cluster: id.ClusterID, fresh: fresh, expires: id.ExpiresAt,
	}, nil
}

// instanceTTL is for how long an answer with an EC2 instance's name is given
// without looking at the resolver's cache again.
const instanceTTL = time.Minute

// decide maps an identity.
func (h *Handler) decide(ctx context.Context, table *iammap.Table, kn *known, sum key, now time.Time) *answer {
	d := decision{
		result: resultUnmapped, id: kn.id, endpoint: kn.endpoint, cluster: kn.cluster,
		scrubbed: slices.Contains(h.o.ScrubbedAccounts, kn.id.Account),
	}
	m, ok := table.Lookup(kn.id)
	if !ok {
		d.reason = "no mapping for " + kn.id.Canonical
		if err := h.o.Mappings.Ready(); err != nil { // it may be in what is missing
			d.result, d.retry, d.reason = resultUnavailable, time.Second, d.reason+", and not all are loaded: "+err.Error()
		}
		return refusal(table, d, sum)
	}
	d.entry = m.Source.Name + ":" + strconv.Itoa(m.Entry.ARNPos.Line)
	u, err := table.User(ctx, m, kn.id, h.o.Instances)
	switch {
	case err == nil:
	case errors.Is(err, iammap.ErrReserved), errors.Is(err, iammap.ErrNoInstance), errors.Is(err, iammap.ErrNoResolver), errors.Is(err, ErrNoSuchInstance):
		d.result, d.reason = resultForbidden, err.Error()
		return refusal(table, d, sum)
	default: // EC2 could not be asked
		d.result, d.reason, d.retry = resultUnavailable, err.Error(), time.Second
		return refusal(table, d, sum)
	}
	d.result, d.user = resultAuthenticated, u
	s := status{Authenticated: true, User: userOf(u, kn.id, d.scrubbed)}
	a := &answer{table: table, decision: d, forms: &forms{status: s}}
	if strings.Contains(m.Entry.Username+strings.Join(m.Entry.Groups, ""), "{{EC2") {
		a.resolvedTill = now.Add(instanceTTL)
	}
	return a
}

// deny answers for a token that is not one of anybody.
func (h *Handler) deny(sum key, cached string, err error) *answer {
	e, ok := errors.AsType[*verify.Error](err)
	if !ok {
		e = &verify.Error{Kind: verify.Unavailable, Message: "failed inside", Err: err}
	}
	d := decision{result: string(e.Kind), reason: e.Error(), cached: cached, endpoint: e.Endpoint}
	if retryable(e) {
		d.retry = max(e.RetryAfter, time.Second)
	}
	return refusal(nil, d, sum)
}

// refusal is the answer to who is not let in. Its error names the review, so
// that the API server's log and this one can be read together, and nothing
// else.
func refusal(table *iammap.Table, d decision, sum key) *answer {
	s := status{Error: "not authenticated; the webhook's log says why, review " + reviewID(sum)}
	return &answer{table: table, decision: d, forms: &forms{status: s}}
}

// reviewID names a review without its token.
func reviewID(sum key) string { return hex.EncodeToString(sum[:6]) }

// log writes the decision.
func (h *Handler) log(ctx context.Context, sum key, a *answer, took time.Duration) {
	d := &a.decision
	level, message := slog.LevelInfo, "access granted"
	if d.result != resultAuthenticated {
		level, message = slog.LevelWarn, "access denied"
	}
	if !h.o.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.String("review", reviewID(sum)), slog.String("result", d.result))
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add("reason", d.reason)
	add("cache", d.cached)
	add("username", d.user.Username)
	if d.user.Groups != nil {
		attrs = append(attrs, slog.Any("groups", d.user.Groups))
	}
	add("entry", d.entry)
	if !d.scrubbed {
		add("arn", d.id.ARN)
		add("userID", d.id.UserID)
		add("accessKeyID", d.id.AccessKeyID)
	}
	add("endpoint", d.endpoint)
	add("cluster", d.cluster)
	attrs = append(attrs, slog.Duration("took", took))
	h.o.Log.LogAttrs(ctx, level, message, attrs...)
}

package authenticator

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
)

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
	if e != nil && errors.Is(e, verify.ErrBusy) { // STS was not asked
		h.gate.leave(t.AccessKeyID, after, nil)
		b.skip()
	} else {
		h.gate.leave(t.AccessKeyID, after, e)
		b.report(after, e)
	}
	outcome := "identified"
	if e != nil {
		outcome = string(e.Kind)
	}
	h.metrics.sts(t.Endpoint.Host, outcome, after.Sub(now))
	if e != nil {
		if !retryable(e) {
			kn := &known{refused: e, endpoint: b.host, expires: after.Add(badTTL)}
			h.bad.put(sum, kn)
			h.good.drop(sum)
			return kn, nil
		}
		return nil, e
	}
	id.Endpoint = b.host
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
	b, _ := h.breakers.LoadOrStore(host, &breaker{host: host})
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

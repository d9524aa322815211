package authenticator

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kubecred/kubecred/ekstoken/verify"
)

// Limits bound what reaches STS. What is over them is answered with 429 and
// Retry-After, which makes the API server try again.
type Limits struct {
	// InFlight and InFlightPerPrincipal bound the calls at one time; 0 for
	// 1024 and 512. A principal is an access key id.
	InFlight, InFlightPerPrincipal int
	// QPS and QPSPerPrincipal bound the calls a second, with bursts of twice
	// as many; 0 for no bound.
	QPS, QPSPerPrincipal float64
}

// gate keeps the limits.
type gate struct {
	limits Limits
	all    *rate.Limiter

	mu         sync.Mutex
	inFlight   int
	principals map[string]*principal
	swept      time.Time
}

type principal struct {
	inFlight int
	rate     *rate.Limiter
	used     time.Time
	// waitUntil is until when STS's own wish to wait holds for this principal.
	waitUntil time.Time
	throttled int
}

// idlePrincipal is for how long a principal without calls is remembered.
const idlePrincipal = 2 * time.Minute

func newGate(l Limits) *gate {
	if l.InFlight == 0 {
		l.InFlight = 1024
	}
	if l.InFlightPerPrincipal == 0 {
		l.InFlightPerPrincipal = 512
	}
	return &gate{limits: l, all: limiter(l.QPS), principals: map[string]*principal{}}
}

func limiter(qps float64) *rate.Limiter {
	if qps <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(qps), max(1, int(2*qps)))
}

func over(what string, wait time.Duration) *verify.Error {
	return &verify.Error{Kind: verify.Throttled, Message: "over the limit here: " + what, RetryAfter: wait}
}

// enter asks to call STS for a principal. The call must be followed by leave.
func (g *gate) enter(name string, now time.Time) *verify.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	p := g.principals[name]
	if p == nil {
		p = &principal{rate: limiter(g.limits.QPSPerPrincipal)}
		g.principals[name] = p
	}
	switch {
	case now.Before(p.waitUntil):
		return over("STS throttles this principal", p.waitUntil.Sub(now))
	case g.inFlight >= g.limits.InFlight:
		return over("calls at one time", time.Second)
	case p.inFlight >= g.limits.InFlightPerPrincipal:
		return over("calls of one principal at one time", time.Second)
	case !p.rate.AllowN(now, 1):
		return over("calls of one principal a second", time.Second)
	case !g.all.AllowN(now, 1):
		return over("calls a second", time.Second)
	}
	g.inFlight++
	p.inFlight++
	p.used = now
	return nil
}

// leave ends a call. Where STS throttled it, the principal waits: as long as
// STS says, or longer each time.
func (g *gate) leave(name string, now time.Time, err *verify.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	p := g.principals[name]
	p.inFlight--
	p.used = now
	if err == nil || err.Kind != verify.Throttled {
		p.throttled = 0
		return
	}
	p.throttled = min(p.throttled+1, 8)
	wait := max(err.RetryAfter, 100*time.Millisecond<<p.throttled)
	p.waitUntil = now.Add(min(wait, 15*time.Second))
}

// sweep forgets principals that are gone, now and then.
func (g *gate) sweep(now time.Time) {
	if now.Sub(g.swept) < idlePrincipal/4 && len(g.principals) < 65536 {
		return
	}
	g.swept = now
	for name, p := range g.principals {
		if p.inFlight == 0 && (now.Sub(p.used) > idlePrincipal || len(g.principals) >= 65536) {
			delete(g.principals, name)
		}
	}
}

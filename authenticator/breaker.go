package authenticator

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/ekstoken/verify"
)

// breaker stops calls to an endpoint that does not answer, and lets one
// through now and then to see whether it does again.
type breaker struct {
	host string // one copy for all that is known of its tokens

	mu       sync.Mutex
	failures int
	until    time.Time // closed where zero
	probing  bool
	last     *verify.Error
}

// tripAfter is how many failures in a row open a breaker.
const tripAfter = 5

// allow tells whether a call may be made.
func (b *breaker) allow(now time.Time) *verify.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return nil
	case now.Before(b.until):
	case !b.probing:
		b.probing = true
		return nil
	}
	e := *b.last
	e.RetryAfter = max(b.until.Sub(now), time.Second)
	e.Message = "not asked, after many failures: " + e.Message
	return &e
}

// skip takes back a call that allow let through and that was not made.
func (b *breaker) skip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// report takes the outcome of a call; a refusal is an answer like any other.
func (b *breaker) report(now time.Time, err *verify.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if err == nil || err.Kind != verify.Unavailable && err.Kind != verify.Throttled {
		b.failures, b.until = 0, time.Time{}
		return
	}
	b.failures = min(b.failures+1, tripAfter+6)
	if b.failures >= tripAfter {
		b.last = err
		wait := max(err.RetryAfter, 500*time.Millisecond<<(b.failures-tripAfter))
		b.until = now.Add(min(wait, 15*time.Second))
	}
}

// trouble says why an endpoint is not asked freely, "" where it is.
func (b *breaker) trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return ""
	}
	return b.last.Error()
}

// endpoints says of each endpoint that was asked what is wrong with it, "" for
// nothing.
func (h *Handler) endpoints() map[string]string {
	out := map[string]string{}
	h.breakers.Range(func(host, b any) bool {
		out[host.(string)] = b.(*breaker).trouble()
		return true
	})
	return out
}

// Notes say which STS endpoints are asked only now and then because they do not
// answer, one line each. Tokens for other regions are not concerned.
func (h *Handler) Notes() []string {
	var out []string
	for host, why := range h.endpoints() {
		if why != "" {
			out = append(out, fmt.Sprintf("STS at %s is asked only now and then: %s", host, strings.TrimPrefix(why, host+": ")))
		}
	}
	slices.Sort(out)
	return out
}

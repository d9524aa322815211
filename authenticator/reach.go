package authenticator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Reach finds out whether an STS endpoint can be reached: whether it answers
// at all, without credentials and without following a redirect. The answer
// holds for half a minute, a bad one for five seconds.
type Reach struct {
	Host string
	// Base is where requests are sent instead of the host; nil for the host.
	Base      *url.URL
	Transport http.RoundTripper

	mu      sync.Mutex
	err     error
	checked time.Time
}

// Check returns nil where the endpoint answered.
func (r *Reach) Check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := time.Since(r.checked)
	if !r.checked.IsZero() && (age < 5*time.Second || r.err == nil && age < 30*time.Second) {
		return r.err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r.err = r.ask(ctx)
	r.checked = time.Now()
	return r.err
}

func (r *Reach) ask(ctx context.Context) error {
	u := &url.URL{Scheme: "https", Host: r.Host, Path: "/"}
	if r.Base != nil {
		u.Scheme, u.Host = r.Base.Scheme, r.Base.Host
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Host = r.Host
	resp, err := r.Transport.RoundTrip(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errors.New("no answer within 3s")
		}
		return fmt.Errorf("STS at %s can not be reached: %w", r.Host, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.Body.Close()
}

package authenticator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Reach finds out whether STS can be reached: whether an endpoint answers at
// all, without credentials and without following a redirect. What was found
// holds for half a minute, where nothing was for five seconds.
type Reach struct {
	// Hosts are the endpoints. One that answers is enough.
	Hosts []string
	// Base is where requests are sent instead of a host; nil for the host.
	Base      *url.URL
	Transport http.RoundTripper

	mu      sync.Mutex
	errs    []error // by host
	checked time.Time
}

// Check returns nil where an endpoint answered, else what became of each.
func (r *Reach) Check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := time.Since(r.checked); r.checked.IsZero() || age >= 30*time.Second || age >= 5*time.Second && errors.Join(r.errs...) != nil {
		r.ask(ctx)
	}
	if slices.Contains(r.errs, nil) {
		return nil
	}
	return errors.Join(r.errs...)
}

// Notes are what became of those that did not answer at the last check.
func (r *Reach) Notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, err := range r.errs {
		if err != nil {
			out = append(out, err.Error())
		}
	}
	return out
}

// ask asks all at once.
func (r *Reach) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	errs := make([]error, len(r.Hosts))
	var wg sync.WaitGroup
	for i, host := range r.Hosts {
		wg.Go(func() { errs[i] = r.askOne(ctx, host) })
	}
	wg.Wait()
	r.errs, r.checked = errs, time.Now()
}

func (r *Reach) askOne(ctx context.Context, host string) error {
	u := &url.URL{Scheme: "https", Host: host, Path: "/"}
	if r.Base != nil {
		u.Scheme, u.Host = r.Base.Scheme, r.Base.Host
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := r.Transport.RoundTrip(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errors.New("no answer within 3s")
		}
		return fmt.Errorf("STS at %s can not be reached: %w", host, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.Body.Close()
}

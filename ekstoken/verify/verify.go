package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
)

// Options configure a Verifier.
type Options struct {
	// ClusterIDs are the names that tokens may be made for, the usual one
	// first. There must be one.
	ClusterIDs []string
	// Partition is the one whose endpoints are asked; "" for "aws".
	Partition string
	// Regions are the only ones whose endpoints are asked; none for all of the
	// partition that the table knows, the global endpoint among them. A region
	// that is newer than the table may be named.
	Regions []string
	// Extra are hosts beside AWS's table.
	Extra []ekstoken.Endpoint
	// Base is where requests are sent instead of the token's host, which still
	// is their Host header: a VPC endpoint. nil for the host itself.
	Base *url.URL
	// Timeout bounds one request with its answer; 0 for 5 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil for one with the system's proxies and
	// roots that keeps its connections.
	Transport http.RoundTripper
	// Now is the clock; nil for the system's.
	Now func() time.Time
}

// Verifier verifies tokens. Any number of goroutines may use it.
type Verifier struct {
	o Options
	// last is the index of the cluster id that was right last, which is tried
	// first while a cluster is renamed.
	last atomic.Int32
}

// maxAnswer bounds STS's answer, in bytes. A true one has less than 1 KiB.
const maxAnswer = 64 << 10

// New returns a verifier. It makes no request.
func New(o Options) (*Verifier, error) {
	if o.Partition == "" {
		o.Partition = "aws"
	}
	if len(o.ClusterIDs) == 0 {
		return nil, errors.New("no cluster id: a token says who somebody is for one cluster only")
	}
	for _, id := range o.ClusterIDs {
		if id == "" || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("cluster id %q: an id is printable ASCII and not empty", id)
		}
	}
	if ekstoken.Regions(o.Partition) == nil {
		return nil, fmt.Errorf("there is no AWS partition %q", o.Partition)
	}
	known := ekstoken.Regions(o.Partition)
	o.Extra = slices.Clone(o.Extra)
	for _, r := range o.Regions {
		if p := ekstoken.PartitionOf(r); p != o.Partition {
			return nil, fmt.Errorf("region %q is not in partition %s", r, o.Partition)
		}
		if slices.Contains(known, r) {
			continue
		}
		// Newer than the table: its hosts are those that the partition gives it.
		for _, fips := range []bool{false, true} {
			for _, dual := range []bool{false, true} {
				e, err := ekstoken.EndpointFor(r, fips, dual)
				if err != nil {
					return nil, err
				}
				o.Extra = append(o.Extra, e)
			}
		}
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	return &Verifier{o: o}, nil
}

// Check makes every check of a token that needs no network. The error is an
// *[Error].
func (v *Verifier) Check(token string) (ekstoken.Token, error) {
	t, err := ekstoken.Parse(token, v.o.Extra...)
	if err != nil {
		return t, &Error{Kind: Malformed, Message: err.Error(), Err: err}
	}
	if err := v.allowed(t.Endpoint); err != nil {
		return t, &Error{Kind: Malformed, Message: err.Error(), Err: err}
	}
	if err := t.CheckTime(v.o.Now()); err != nil {
		return t, &Error{Kind: Expired, Message: err.Error(), Err: err}
	}
	return t, nil
}

func (v *Verifier) allowed(e ekstoken.Endpoint) error {
	if slices.Contains(v.o.Extra, e) {
		return nil
	}
	if e.Partition != v.o.Partition {
		return &ekstoken.FormatError{Reason: ekstoken.BadHost, Detail: fmt.Sprintf("its host %s is of partition %s, and this cluster's is %s", e.Host, e.Partition, v.o.Partition)}
	}
	if len(v.o.Regions) > 0 && !slices.Contains(v.o.Regions, e.Region) {
		return &ekstoken.FormatError{Reason: ekstoken.BadHost, Detail: fmt.Sprintf("its host %s is of region %s, which is none of those configured", e.Host, e.Region)}
	}
	return nil
}

// Verify checks a token and asks STS who signed it. The error is an *[Error].
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	t, err := v.Check(token)
	if err != nil {
		return Identity{}, err
	}
	return v.Ask(ctx, t)
}

// Ask asks STS who signed a token that Check let pass. Where several cluster
// ids are configured, it asks for one after the other until the signature fits.
func (v *Verifier) Ask(ctx context.Context, t ekstoken.Token) (Identity, error) {
	first := int(v.last.Load())
	var refusal error
	for i := range v.o.ClusterIDs {
		n := (first + i) % len(v.o.ClusterIDs)
		id, err := v.ask(ctx, t, v.o.ClusterIDs[n])
		if err == nil {
			v.last.Store(int32(n))
			return id, nil
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != "SignatureDoesNotMatch" || e.Kind != Refused {
			return Identity{}, err
		}
		refusal = err
	}
	return Identity{}, refusal
}

func (v *Verifier) ask(ctx context.Context, t ekstoken.Token, clusterID string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, v.o.Timeout)
	defer cancel()
	fail := func(kind Kind, err error) error {
		return &Error{Kind: kind, Endpoint: t.Endpoint.Host, Message: err.Error(), Err: err}
	}
	r, err := v.send(ctx, t, clusterID)
	if errors.Is(err, ErrBusy) {
		return Identity{}, &Error{Kind: Throttled, Endpoint: t.Endpoint.Host, Message: err.Error(), RetryAfter: time.Second, Err: ErrBusy}
	}
	if errors.Is(err, errNoRequest) {
		return Identity{}, fail(Malformed, err)
	}
	if err != nil {
		return Identity{}, fail(Unavailable, withoutURL(ctx, err, v.o.Timeout))
	}
	a, e := judge(r)
	if e != nil {
		e.Endpoint = t.Endpoint.Host
		return Identity{}, e
	}
	if err := a.check(t.Endpoint); err != nil {
		return Identity{}, fail(Unavailable, err)
	}
	return Identity{
		ARN: a.ARN, Account: a.Account, UserID: a.UserID, AccessKeyID: t.AccessKeyID,
		Endpoint: t.Endpoint.Host, ClusterID: clusterID, ExpiresAt: t.ExpiresAt(),
	}, nil
}

var errNoRequest = errors.New("no request can be made of its URL")

// send asks STS.
func (v *Verifier) send(ctx context.Context, t ekstoken.Token, clusterID string) (reply, error) {
	to := &url.URL{Scheme: "https", Host: t.Endpoint.Host}
	if v.o.Base != nil {
		to.Scheme, to.Host = v.o.Base.Scheme, v.o.Base.Host
	}
	if own, ok := v.o.Transport.(*Transport); ok {
		if request := written(t, clusterID); request != nil {
			proxy, ok, err := own.way(&http.Request{URL: to})
			if err != nil {
				return reply{}, err
			}
			if ok {
				return own.get(ctx, to, proxy, request)
			}
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return reply{}, errNoRequest // the error would show it
	}
	req.Header = http.Header{
		"Accept":     {"application/json"},
		"User-Agent": {"kubecred"},
		// Set under its canonical name; HTTP/2 sends it in lower case.
		http.CanonicalHeaderKey(ekstoken.ClusterHeader): {clusterID},
	}
	req.Host = req.URL.Host
	req.URL.Scheme, req.URL.Host = to.Scheme, to.Host
	resp, err := v.o.Transport.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	return replyOf(resp)
}

// written is the request for a token as net/http writes it. It is nil where the
// URL is not as clients make it.
func written(t ekstoken.Token, clusterID string) []byte {
	target, ok := strings.CutPrefix(t.URL, "https://"+t.Endpoint.Host)
	if !ok || !strings.HasPrefix(target, "/?") {
		return nil
	}
	b := make([]byte, 0, len(t.URL)+len(clusterID)+120)
	b = append(append(b, "GET "...), target...)
	if bytes.ContainsFunc(b[4:], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), t.Endpoint.Host...)
	b = append(append(b, "\r\nUser-Agent: kubecred\r\nAccept: application/json\r\nX-K8s-Aws-Id: "...), clusterID...)
	return append(b, "\r\n\r\n"...)
}

// withoutURL takes the URL, which is the token, out of an error, and names a
// timeout as such.
func withoutURL(ctx context.Context, err error, timeout time.Duration) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", timeout)
	}
	return err
}

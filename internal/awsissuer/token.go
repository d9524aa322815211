package awsissuer

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
)

// TokenRequest asks for an EKS token.
type TokenRequest struct {
	Source
	// ClusterName names the cluster, ClusterID an Outposts cluster, and then it
	// is what is signed.
	ClusterName, ClusterID string
}

// Token is an EKS token with the end of its life.
type Token struct {
	Token   string
	Expires time.Time
	// Warning is something a person should know, or "".
	Warning string
}

// EKSToken makes a token. It lives 14 minutes, or as long as the credentials
// that signed it where that is less.
func EKSToken(ctx context.Context, w World, r TokenRequest) (Token, error) {
	cluster := first(r.ClusterID, r.ClusterName)
	if cluster == "" {
		return Token{}, &Error{Problem: "no cluster", Hint: "Give --cluster-name"}
	}
	if len(r.Roles) == 0 {
		k, s, ok := staticKeys(w, r.Profile)
		s.region = first(r.Region, s.region)
		if ok && s.region != "" {
			return sign(k, s, cluster, w.Now(), 0)
		}
	}
	l, err := load(ctx, w, r.Source)
	if err != nil {
		return Token{}, err
	}
	if l.Region == "" {
		return Token{}, noRegion(r.Profile)
	}
	k, err := l.retrieve(ctx, w, r.Source)
	if err != nil {
		return Token{}, err
	}
	s := settings{region: l.Region, fips: l.fips, dualStack: l.dualStack}
	t, err := sign(k, s, cluster, w.Now(), l.clock.offset())
	if offset := l.clock.offset(); err == nil && offset != 0 {
		t.Warning = "this machine's clock is " + offset.Abs().String() + " " + direction(offset) + "; the token is signed with AWS's time"
	}
	return t, err
}

// sign makes the token. offset is how far the machine's clock is known to be
// behind AWS's: the token carries AWS's time, and its end the machine's, by
// which the client will judge it.
func sign(k keys, s settings, cluster string, now time.Time, offset time.Duration) (Token, error) {
	endpoint, err := ekstoken.EndpointFor(s.region, s.fips, s.dualStack)
	if s.region == "aws-global" {
		endpoint, err = ekstoken.GlobalEndpoint(), nil
	}
	if err != nil {
		return Token{}, &Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
	}
	if err := k.check(now); err != nil {
		return Token{}, err
	}
	token, err := ekstoken.Sign(
		ekstoken.Credentials{AccessKeyID: k.accessKeyID, SecretAccessKey: k.secret, SessionToken: k.session},
		ekstoken.Request{ClusterID: cluster, Endpoint: endpoint, Time: now.Add(offset)},
	)
	if err != nil {
		return Token{}, &Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
	}
	expires := now.Add(ekstoken.AnnouncedLife)
	if !k.expires.IsZero() && k.expires.Before(expires) {
		expires = k.expires
	}
	return Token{Token: token, Expires: expires.UTC().Truncate(time.Second)}, nil
}

// closing ends a context with the reading of a body.
type closing struct {
	io.ReadCloser
	cancel func()
}

func (c closing) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

package awsissuer

import (
	"cmp"
	"context"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// TokenRequest asks for an EKS token.
type TokenRequest struct {
	Source
	// ClusterName names the cluster, ClusterID an Outposts cluster, and then it
	// is what is signed.
	ClusterName, ClusterID string
}

// Token is an EKS token with the end of its life.
type Token = awskeys.Token

// EKSToken makes a token. It lives 14 minutes, or as long as the credentials
// that signed it where that is less.
func EKSToken(ctx context.Context, w World, r TokenRequest) (Token, error) {
	cluster := cmp.Or(r.ClusterID, r.ClusterName)
	if cluster == "" {
		return Token{}, &Error{Problem: "no cluster", Hint: "Give --cluster-name"}
	}
	if len(r.Roles) == 0 {
		k, s, ok := awskeys.Static(awskeys.World{Getenv: w.Getenv, Home: w.Home}, r.Profile)
		s.Region = cmp.Or(r.Region, s.Region)
		if ok {
			return awskeys.Sign(k, s, cluster, w.Now(), 0)
		}
	}
	l, err := load(ctx, w, r.Source)
	if err != nil {
		return Token{}, err
	}
	k, err := l.retrieve(ctx, w, r.Source)
	if err != nil {
		return Token{}, err
	}
	s := awskeys.Settings{Region: l.Region, FIPS: l.fips, DualStack: l.dualStack}
	t, err := awskeys.Sign(k, s, cluster, w.Now(), l.clock.offset())
	if offset := l.clock.offset(); err == nil && offset != 0 {
		t.Warning = "this machine's clock is " + offset.Abs().String() + " " + direction(offset) + "; the token is signed with AWS's time"
	}
	return t, err
}

package awskeys

import (
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken/mint"
)

// Error is an error of one line that says what to do. Hint may be empty.
type Error struct {
	Problem string
	Hint    string
	Err     error
	// Transient tells that the same call may do better a little later.
	Transient bool
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Hint != "" {
		s += ". " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Token is an EKS token with the end of its life.
type Token struct {
	Token   string
	Expires time.Time
	// Warning is something a person should know, or "".
	Warning string
}

// Sign makes a token for a cluster, named by its name or, on Outposts, its id. It
// lives 14 minutes, or as long as the credentials that signed it where that is
// less. offset is how far the machine's clock is known to be behind AWS's: the
// token carries AWS's time, and its end the machine's, by which the client will
// judge it. Without a region, or in "aws-global", it is for the global endpoint,
// as the AWS CLI's is. The error is an [*Error].
func Sign(k Keys, s Settings, cluster string, now time.Time, offset time.Duration) (Token, error) {
	endpoint := mint.GlobalEndpoint()
	if s.Region != "" && s.Region != "aws-global" {
		var err error
		if endpoint, err = mint.EndpointFor(s.Region, s.FIPS, s.DualStack); err != nil {
			return Token{}, &Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
		}
	}
	if err := k.Check(now); err != nil {
		return Token{}, err
	}
	token, err := mint.Sign(
		mint.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret, SessionToken: k.Session},
		mint.Request{ClusterID: cluster, Endpoint: endpoint, Time: now.Add(offset)},
	)
	if err != nil {
		return Token{}, &Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
	}
	expires := now.Add(mint.AnnouncedLife)
	if !k.Expires.IsZero() && k.Expires.Before(expires) {
		expires = k.Expires
	}
	return Token{Token: token, Expires: expires.UTC().Truncate(time.Second)}, nil
}

// Package verify asks STS who signed an EKS token.
//
// A token is a presigned request that its bearer chose, so a server that sends
// it calls a URL from a stranger. [Verifier.Verify] therefore sends only what
// ekstoken.Parse let pass, to a host of the configured partition and regions,
// by GET, with the two headers it sets itself; it follows no redirect, bounds
// the time and the body, and believes an answer only where its parts agree
// with each other and with the host.
//
// It is a package of its own so that programs which only make tokens do not
// link an HTTP client.
package verify

import (
	"fmt"
	"time"
)

// Kind says what became of a token.
type Kind string

// The kinds of errors.
const (
	// Malformed: it is no token, or one that no request is made for. Err is an
	// *ekstoken.FormatError.
	Malformed Kind = "malformed"
	// Expired: too old, dated in the future (Err is an *ekstoken.TimeError), or
	// the credentials behind it have expired.
	Expired Kind = "expired"
	// Refused: STS said no.
	Refused Kind = "refused"
	// Throttled: STS, or a limit here, asks to wait.
	Throttled Kind = "throttled"
	// Unavailable: no answer of STS, or one that can not be its.
	Unavailable Kind = "unavailable"
)

// Error is the error of Verify.
type Error struct {
	Kind     Kind
	Endpoint string // the STS host, "" where none was asked
	// Status and Code are those of STS's answer: 403, SignatureDoesNotMatch.
	Status int
	Code   string
	// Message is a line without the token's secrets.
	Message string
	// RetryAfter is how long STS asks to wait; 0 where it does not say.
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	switch {
	case e.Endpoint == "":
		return e.Message
	case e.Code != "":
		return fmt.Sprintf("%s: %s: %s", e.Endpoint, e.Code, e.Message)
	}
	return e.Endpoint + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Identity is who signed a token.
type Identity struct {
	// ARN, Account and UserID are STS's words: UserID is AROA...:session for a
	// role's session, AIDA... for a user, the account for its root.
	ARN, Account, UserID string
	AccessKeyID          string
	Endpoint             string // the STS host that said so
	ClusterID            string // the one the token was made for
	// ExpiresAt is when the token's life ends.
	ExpiresAt time.Time
}

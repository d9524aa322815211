package ekstoken

import (
	"fmt"
	"time"
)

// Reason says in a word why a string is no token that may be sent to STS.
type Reason string

// The reasons.
const (
	TooLong            Reason = "too long"
	NoPrefix           Reason = "no prefix"
	BadBase64          Reason = "bad base64"
	BadURL             Reason = "bad URL"
	BadScheme          Reason = "bad scheme"
	HasUserInfo        Reason = "user info"
	HasFragment        Reason = "fragment"
	BadPath            Reason = "bad path"
	BadHost            Reason = "bad host"
	BadQuery           Reason = "bad query"
	UnknownParameter   Reason = "unknown parameter"
	DuplicateParameter Reason = "duplicate parameter"
	MissingParameter   Reason = "missing parameter"
	BadAction          Reason = "bad action"
	BadVersion         Reason = "bad version"
	BadAlgorithm       Reason = "bad algorithm"
	BadSignature       Reason = "bad signature"
	BadExpires         Reason = "bad expires"
	BadDate            Reason = "bad date"
	BadScope           Reason = "bad scope"
	ClusterNotSigned   Reason = "cluster not signed"
)

// FormatError is the error of Parse.
type FormatError struct {
	Reason Reason
	// Detail is a sentence without the token's secrets.
	Detail string
}

func (e *FormatError) Error() string { return "not an EKS token: " + e.Detail }

func formatError(r Reason, format string, args ...any) error {
	return &FormatError{r, fmt.Sprintf(format, args...)}
}

// TimeError is the error of CheckTime: the token is well formed and too old, or
// dated in the future.
type TimeError struct {
	Expired bool // false: dated in the future
	// By is how long ago it expired, or how far ahead it is dated.
	By time.Duration
}

func (e *TimeError) Error() string {
	if e.Expired {
		return "the EKS token expired " + e.By.Round(time.Second).String() + " ago: it lives 15 minutes from its signing"
	}
	return "the EKS token is not valid yet: it is dated " + e.By.Round(time.Second).String() + " in the future, so one of the two clocks is wrong"
}

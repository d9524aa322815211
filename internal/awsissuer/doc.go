// Package awsissuer gets credentials out of AWS for Kubernetes: EKS tokens for
// clients of the API server, and registry passwords for the kubelet. It reads
// every source of credentials that the AWS SDK reads, and takes the SDK into use
// only where it must: keys from the environment or written in a profile are
// signed without it (package awskeys).
package awsissuer

import (
	"context"
	"errors"
	"time"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// World is what the package needs of its surroundings.
type World struct {
	Getenv func(string) string
	Home   string
	Now    func() time.Time
	// AskMFA asks the person for a code of the device; nil where nobody can be
	// asked.
	AskMFA func(ctx context.Context, serial string) (string, error)
}

// Error is an error of one line that says what to do.
type Error = awskeys.Error

// errNobodyToAsk is met where a profile wants an MFA code and nobody can type it.
var errNobodyToAsk = errors.New("nobody can be asked for the code")

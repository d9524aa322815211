// Package satoken knows the life of a bound service account token: when it was
// issued, when the API server begins to mark its requests, when it refuses
// them, and what a log of such requests says about the client behind them.
//
// The kubelet mounts a token with expirationSeconds 3607. For such a token the
// API server sets the claim warnafter to iat + 3607 s and grants a longer exp,
// iat + the cluster's extension (k8s.io/kubernetes
// pkg/registry/core/serviceaccount/storage/token.go). A client that never reads
// the file again is marked after warnafter and refused after exp.
//
// A [Tally] takes events in any order, from several goroutines, and [Tally.Judge]
// says what became of each token.
package satoken

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// WarnAfter is the life that a token of the kubelet was meant to have
	// (k8s.io/kubernetes pkg/serviceaccount/util.go, WarnOnlyBoundTokenExpirationSeconds).
	WarnAfter = 3607 * time.Second
	// Leeway is how long after exp the API server still accepts a token
	// (gopkg.in/go-jose/go-jose.v2/jwt, DefaultLeeway).
	Leeway = 60 * time.Second
	// CacheLag is how long the API server repeats an authentication, and with it
	// the mark's number of seconds (k8s.io/apiserver
	// pkg/authentication/token/cache, 10 s for successes).
	CacheLag = 10 * time.Second
)

// Profile says how a provider sets the extension of tokens.
type Profile struct {
	Name string
	// Extension is the life of a token from its issue to exp. WarnAfter or less
	// means that tokens are not extended.
	Extension time.Duration
	// Source says where the number is from.
	Source string
}

// Extended tells whether tokens live longer than they were meant to.
func (p Profile) Extended() bool { return p.Extension > WarnAfter }

// Life is the time from issue to the first refusal.
func (p Profile) Life() time.Duration { return p.Extension + Leeway }

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// Profiles returns the known profiles.
func Profiles() []Profile {
	return []Profile{
		{"eks", 90 * day, "Amazon EKS user guide, service account tokens: 90 days"},
		{"upstream", year, "k8s.io/kubernetes pkg/serviceaccount/util.go, ExpirationExtensionSeconds: one year"},
		{"gke", year, "reports of users: one year, as upstream"},
		{"aks", WarnAfter, "AKS with the OIDC issuer, from 1.30 on: --service-account-extend-token-expiration=false"},
	}
}

// ParseProfile returns a profile by its name, or one for a duration such as
// "90d", "24h" or "7776000s": the life of a token from issue to exp.
func ParseProfile(s string) (Profile, error) {
	for _, p := range Profiles() {
		if strings.EqualFold(s, p.Name) {
			return p, nil
		}
	}
	if d, err := ParseDuration(s); err == nil && d > 0 && d <= 20*year {
		return Profile{Name: s, Extension: d, Source: "given"}, nil
	}
	return Profile{}, fmt.Errorf("profile %q: use eks, upstream, gke, aks or a token's life such as 90d or 24h", s)
}

// ParseDuration reads a Go duration, also with the units d (24 hours) and w.
func ParseDuration(s string) (time.Duration, error) {
	for unit, size := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil || f < 0 || f > 36500 {
				break
			}
			return time.Duration(f * float64(size)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("duration %q: write it like 90d, 36h or 15m", s)
	}
	return d, nil
}

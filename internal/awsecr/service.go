// Package awsecr knows what must be known to ask Amazon ECR for a registry's
// password: which hosts are its registries, where its API is, what it is asked and
// how its answer is read. It needs the standard library alone, and so it serves
// both ways to ask, with the AWS SDK (package awsissuer) and without (package
// awsquick).
//
// The one operation of ECR that is wanted is called without the SDK's clients for
// ECR: linking the two of them, with all their operations, takes a third of the
// program's start.
package awsecr

import (
	"strings"

	"github.com/kubecred/kubecred/ekstoken/mint"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// Service is one of the two APIs that give out passwords.
type Service struct {
	Name   string // in signatures
	Target string // X-Amz-Target
	prefix string // of hosts
}

// Service is the API that gives out the registry's passwords, and its region.
func (r Registry) Service() (Service, string) {
	if r.Public {
		return Service{"ecr-public", "SpencerFrontendService.GetAuthorizationToken", "api.ecr-public"}, "us-east-1"
	}
	return Service{"ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "api.ecr"}, r.Region
}

// Host is where the API is, as the SDK's endpoint rules have it. The error is an
// [*awskeys.Error].
func (s Service) Host(region string, fips, dualStack bool) (string, error) {
	sts, err := mint.EndpointFor(region, false, dualStack)
	if err != nil {
		return "", &awskeys.Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
	}
	prefix := s.prefix
	if fips {
		prefix += "-fips"
	}
	if dualStack && (s.Name == "ecr" || !fips) {
		prefix = strings.TrimPrefix(prefix, "api.")
	}
	return prefix + strings.TrimPrefix(sts.Host, "sts"), nil
}

// Variable is how the service is called in the names of variables.
func (s Service) Variable() string { return strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) }

// ConfiguredEndpoint is the URL that the environment names for the service, or
// for all; "" for none.
func (s Service) ConfiguredEndpoint(getenv func(string) string) string {
	if IgnoresEndpoints(getenv) {
		return ""
	}
	if url := getenv("AWS_ENDPOINT_URL_" + s.Variable()); url != "" {
		return url
	}
	return getenv("AWS_ENDPOINT_URL")
}

// IgnoresEndpoints tells whether configured endpoints are not to be looked at.
func IgnoresEndpoints(getenv func(string) string) bool {
	return awskeys.IsTrue(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
}

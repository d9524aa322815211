package awsecr

import (
	"slices"
	"strings"

	"github.com/kubecred/kubecred/ekstoken/mint"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// Registry is a registry of Amazon ECR, as an image's host names it.
type Registry struct {
	Host string
	// Account and Region are empty for the public registry.
	Account, Region string
	FIPS, DualStack bool
	Public          bool
}

// The hosts of the public registry, the dual-stack one second. Its tokens come
// from us-east-1.
var publicHosts = [2]string{"public.ecr.aws", "ecr-public.aws.com"}

// suffixes are those of a partition's registries, the dual-stack one second.
func suffixes(partition string) (plain, dualStack string) {
	switch partition {
	case "aws", "aws-us-gov":
		return "amazonaws.com", "on.aws"
	case "aws-cn":
		return "amazonaws.com.cn", "on.amazonwebservices.com.cn"
	case "aws-eusc":
		return "amazonaws.eu", ""
	case "aws-iso":
		return "c2s.ic.gov", ""
	case "aws-iso-b":
		return "sc2s.sgov.gov", ""
	case "aws-iso-e":
		return "cloud.adc-e.uk", ""
	case "aws-iso-f":
		return "csp.hci.ic.gov", ""
	}
	return "", ""
}

// accountDigits is the length of an account's number.
const accountDigits = 12

// ParseRegistry returns the registry that a host names, exactly: nothing before or
// after it, no port, and the suffix of the region's own partition. A private
// registry's host is its account, .dkr.ecr or .dkr-ecr, perhaps -fips, the region
// and the suffix (Amazon ECR user guide, and the hosts that cloud-provider-aws
// knows).
func ParseRegistry(host string) (Registry, bool) {
	if slices.Contains(publicHosts[:], host) {
		return Registry{Host: host, Public: true, DualStack: host == publicHosts[1]}, true
	}
	if len(host) < accountDigits || strings.Trim(host[:accountDigits], "0123456789") != "" {
		return Registry{}, false
	}
	r := Registry{Host: host, Account: host[:accountDigits]}
	rest, ok := strings.CutPrefix(host[accountDigits:], ".dkr.ecr")
	if !ok {
		if rest, ok = strings.CutPrefix(host[accountDigits:], ".dkr-ecr"); !ok {
			return Registry{}, false
		}
		r.DualStack = true
	}
	rest, r.FIPS = strings.CutPrefix(rest, "-fips")
	if rest, ok = strings.CutPrefix(rest, "."); !ok {
		return Registry{}, false
	}
	region, suffix, _ := strings.Cut(rest, ".")
	r.Region = region
	want, dual := suffixes(mint.PartitionOf(region))
	if r.DualStack {
		want = dual
	}
	if want == "" || suffix != want {
		return Registry{}, false
	}
	return r, true
}

// ImageHost is the registry of a normalised image, the text before the first
// slash.
func ImageHost(image string) string {
	host, _, _ := strings.Cut(image, "/")
	return host
}

// Alias maps a host that is configured, a pull-through proxy's or one's own name
// for a registry, to the registry of ECR that is behind it.
type Alias struct {
	Host     string
	Registry Registry
}

// ParseAlias reads HOST=REGISTRY, where REGISTRY is a host of ECR. The error is an
// [*awskeys.Error].
func ParseAlias(s string) (Alias, error) {
	host, target, ok := strings.Cut(s, "=")
	if !ok || host == "" || strings.ContainsAny(host, "/@ ") {
		return Alias{}, &awskeys.Error{Problem: "--host " + s, Hint: "Write it like registry.example.com=123456789012.dkr.ecr.eu-west-1.amazonaws.com"}
	}
	r, ok := ParseRegistry(target)
	if !ok {
		return Alias{}, &awskeys.Error{Problem: "--host " + s + ": " + target + " is no registry of Amazon ECR"}
	}
	return Alias{Host: host, Registry: r}, nil
}

// ParseAliases reads the values of --host.
func ParseAliases(values []string) ([]Alias, error) {
	var out []Alias
	for _, v := range values {
		a, err := ParseAlias(v)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// RegistryOf is the registry of ECR that an image's host is, or that an alias
// maps it to. ok is false for any other host, which is to get no password: one of
// ECR is good for all registries of the account, and nobody else may see it.
func RegistryOf(host string, aliases []Alias) (r Registry, ok bool) {
	r, ok = ParseRegistry(host)
	for _, a := range aliases {
		if a.Host == host {
			r, ok = a.Registry, true
		}
	}
	return r, ok
}

package awsissuer

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/ekstoken"
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
var publicHosts = []string{"public.ecr.aws", "ecr-public.aws.com"}

// registryHost is the form of a private registry's host; the parts are account,
// .dkr.ecr or .dkr-ecr, -fips, region and suffix (Amazon ECR user guide, and the
// hosts that cloud-provider-aws knows).
var registryHost = regexp.MustCompile(`^([0-9]{12})\.dkr([.-])ecr(-fips)?\.([a-z0-9-]+)\.([a-z0-9.-]+)$`)

// registrySuffixes are those of each partition, the dual-stack ones second.
var registrySuffixes = map[string][2]string{
	"aws":        {"amazonaws.com", "on.aws"},
	"aws-us-gov": {"amazonaws.com", "on.aws"},
	"aws-cn":     {"amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	"aws-eusc":   {"amazonaws.eu", ""},
	"aws-iso":    {"c2s.ic.gov", ""},
	"aws-iso-b":  {"sc2s.sgov.gov", ""},
	"aws-iso-e":  {"cloud.adc-e.uk", ""},
	"aws-iso-f":  {"csp.hci.ic.gov", ""},
}

// ParseRegistry returns the registry that a host names, exactly: nothing before or
// after it, no port, and the suffix of the region's own partition.
func ParseRegistry(host string) (Registry, bool) {
	if slices.Contains(publicHosts, host) {
		return Registry{Host: host, Public: true, DualStack: host == publicHosts[1]}, true
	}
	m := registryHost.FindStringSubmatch(host)
	if m == nil {
		return Registry{}, false
	}
	r := Registry{Host: host, Account: m[1], Region: m[4], FIPS: m[3] != ""}
	suffixes, ok := registrySuffixes[ekstoken.PartitionOf(r.Region)]
	if !ok {
		return Registry{}, false
	}
	switch suffix := m[5]; {
	case m[2] == "." && suffix == suffixes[0]:
		return r, true
	case m[2] == "-" && suffix == suffixes[1] && suffix != "":
		r.DualStack = true
		return r, true
	}
	return Registry{}, false
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

// ParseAlias reads HOST=REGISTRY, where REGISTRY is a host of ECR.
func ParseAlias(s string) (Alias, error) {
	host, target, ok := strings.Cut(s, "=")
	if !ok || host == "" || strings.ContainsAny(host, "/@ ") {
		return Alias{}, &Error{Problem: "--host " + s, Hint: "Write it like registry.example.com=123456789012.dkr.ecr.eu-west-1.amazonaws.com"}
	}
	r, ok := ParseRegistry(target)
	if !ok {
		return Alias{}, &Error{Problem: "--host " + s + ": " + target + " is no registry of Amazon ECR"}
	}
	return Alias{Host: host, Registry: r}, nil
}

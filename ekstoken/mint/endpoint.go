package mint

import (
	"fmt"
	"slices"
	"strings"
)

// Endpoint is a host of STS with what is known of it.
type Endpoint struct {
	Host      string
	Partition string // "aws", "aws-cn", ...
	// Region is the one that signatures for the host name.
	Region    string
	FIPS      bool
	DualStack bool
	// Global marks sts.amazonaws.com, which partition aws alone has.
	Global bool
}

// partition is a part of AWS with its own names.
type partition struct {
	id         string
	prefixes   []string // of region names; the first match in the table counts
	suffix     string
	dualSuffix string
	// fipsIsPlain: the FIPS endpoint has the plain host's name.
	fipsIsPlain bool
	regions     []string
}

// partitions is AWS's table (partitions.json and the endpoint rules of STS in
// the AWS SDKs). The longer prefixes stand before the shorter.
var partitions = []partition{
	{
		id: "aws-us-gov", prefixes: []string{"us-gov-"}, suffix: "amazonaws.com", dualSuffix: "api.aws", fipsIsPlain: true,
		regions: []string{"us-gov-east-1", "us-gov-west-1"},
	},
	{
		id: "aws-iso", prefixes: []string{"us-iso-"}, suffix: "c2s.ic.gov", dualSuffix: "api.aws.ic.gov",
		regions: []string{"us-iso-east-1", "us-iso-west-1"},
	},
	{
		id: "aws-iso-b", prefixes: []string{"us-isob-"}, suffix: "sc2s.sgov.gov", dualSuffix: "api.aws.scloud",
		regions: []string{"us-isob-east-1", "us-isob-west-1"},
	},
	{
		id: "aws-iso-e", prefixes: []string{"eu-isoe-"}, suffix: "cloud.adc-e.uk", dualSuffix: "api.cloud-aws.adc-e.uk",
		regions: []string{"eu-isoe-west-1"},
	},
	{
		id: "aws-iso-f", prefixes: []string{"us-isof-"}, suffix: "csp.hci.ic.gov", dualSuffix: "api.aws.hci.ic.gov",
		regions: []string{"us-isof-east-1", "us-isof-south-1"},
	},
	{
		id: "aws-cn", prefixes: []string{"cn-"}, suffix: "amazonaws.com.cn", dualSuffix: "api.amazonwebservices.com.cn",
		regions: []string{"cn-north-1", "cn-northwest-1"},
	},
	{
		id: "aws-eusc", prefixes: []string{"eusc-"}, suffix: "amazonaws.eu", dualSuffix: "api.amazonwebservices.eu",
		regions: []string{"eusc-de-east-1"},
	},
	{
		id: "aws", prefixes: []string{"us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"}, suffix: "amazonaws.com", dualSuffix: "api.aws",
		regions: []string{
			"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
			"ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
			"ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1",
			"eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
			"il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2",
			"us-west-1", "us-west-2",
		},
	},
}

const globalHost = "sts.amazonaws.com"

// Regions returns the regions of a partition that the table knows, nil for a
// partition it does not know.
func Regions(partitionID string) []string {
	for _, p := range partitions {
		if p.id == partitionID {
			return slices.Clone(p.regions)
		}
	}
	return nil
}

// PartitionOf returns the partition that a region belongs to by its name, such
// as "aws-cn" for "cn-north-1", also for regions that are newer than the table.
// It is "" for a name that cannot be a region.
func PartitionOf(region string) string {
	if p := partitionOf(region); p != nil {
		return p.id
	}
	return ""
}

func partitionOf(region string) *partition {
	if !regionLike(region) {
		return nil
	}
	for i, p := range partitions {
		if slices.ContainsFunc(p.prefixes, func(prefix string) bool { return strings.HasPrefix(region, prefix) }) {
			return &partitions[i]
		}
	}
	return nil
}

// regionLike tells whether s has the form of a region: words and a number
// between hyphens. It keeps anything else out of a host name.
func regionLike(s string) bool {
	parts := strings.Split(s, "-")
	if len(s) > 32 || len(parts) < 3 {
		return false
	}
	for i, part := range parts {
		chars := "abcdefghijklmnopqrstuvwxyz"
		if i == len(parts)-1 {
			chars = "0123456789"
		}
		if part == "" || strings.Trim(part, chars) != "" {
			return false
		}
	}
	return true
}

// EndpointFor returns the STS endpoint of a region. A region of a known form
// that the table does not hold gets the host that its partition would give it.
func EndpointFor(region string, fips, dualStack bool) (Endpoint, error) {
	p := partitionOf(region)
	if p == nil {
		return Endpoint{}, fmt.Errorf("ekstoken: %.40q is no AWS region", region)
	}
	return p.endpoint(region, fips, dualStack), nil
}

func (p *partition) endpoint(region string, fips, dualStack bool) Endpoint {
	name, suffix := "sts", p.suffix
	if dualStack {
		suffix = p.dualSuffix
	}
	if fips && (!p.fipsIsPlain || dualStack) {
		name = "sts-fips"
	}
	return Endpoint{Host: name + "." + region + "." + suffix, Partition: p.id, Region: region, FIPS: fips, DualStack: dualStack}
}

// GlobalEndpoint returns sts.amazonaws.com, whose signatures name us-east-1.
func GlobalEndpoint() Endpoint {
	return Endpoint{Host: globalHost, Partition: "aws", Region: "us-east-1", Global: true}
}

// LookupHost returns the endpoint with exactly this host, without a port. Hosts
// of regions that the table does not know are unknown.
func LookupHost(host string) (Endpoint, bool) {
	if host == globalHost {
		return GlobalEndpoint(), true
	}
	name, rest, _ := strings.Cut(host, ".")
	if name != "sts" && name != "sts-fips" {
		return Endpoint{}, false
	}
	region, _, _ := strings.Cut(rest, ".")
	p := partitionOf(region)
	if p == nil || !slices.Contains(p.regions, region) {
		return Endpoint{}, false
	}
	for _, dual := range []bool{false, true} {
		for _, fips := range []bool{false, true} {
			if e := p.endpoint(region, fips, dual); e.Host == host {
				if p.fipsIsPlain && !dual {
					e.FIPS = true
				}
				return e, true
			}
		}
	}
	return Endpoint{}, false
}

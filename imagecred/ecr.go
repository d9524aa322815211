package imagecred

import (
	"slices"
	"strings"
)

// ECRForm is one form of the hosts under which Amazon ECR serves images.
type ECRForm struct {
	// Name says what the form is for.
	Name string
	// Pattern covers every host of the form, Sample is one of them.
	Pattern, Sample string
	// Suffix is what follows the region, "" for the public registries.
	Suffix string
	// DualStack forms write dkr-ecr as one label where the others write dkr.ecr.
	DualStack bool
}

// ecrForms are the hosts of the AWS documentation ("Amazon ECR endpoints") and of
// ecr-credential-provider (cloud-provider-aws, cmd/ecr-credential-provider).
var ecrForms = []ECRForm{
	{Name: "private", Pattern: "*.dkr.ecr.*.amazonaws.com", Sample: "123456789012.dkr.ecr.us-east-1.amazonaws.com", Suffix: "amazonaws.com"},
	{Name: "private, FIPS", Pattern: "*.dkr.ecr-fips.*.amazonaws.com", Sample: "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", Suffix: "amazonaws.com"},
	{Name: "private, dual-stack", Pattern: "*.dkr-ecr.*.on.aws", Sample: "123456789012.dkr-ecr.us-east-1.on.aws", Suffix: "on.aws", DualStack: true},
	{Name: "private, dual-stack FIPS", Pattern: "*.dkr-ecr-fips.*.on.aws", Sample: "123456789012.dkr-ecr-fips.us-east-1.on.aws", Suffix: "on.aws", DualStack: true},
	{Name: "public", Pattern: "public.ecr.aws", Sample: "public.ecr.aws"},
	{Name: "public, dual-stack", Pattern: "ecr-public.aws.com", Sample: "ecr-public.aws.com"},
	{Name: "China", Pattern: "*.dkr.ecr.*.amazonaws.com.cn", Sample: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Suffix: "amazonaws.com.cn"},
	{Name: "China, dual-stack", Pattern: "*.dkr-ecr.*.on.amazonwebservices.com.cn", Sample: "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", Suffix: "on.amazonwebservices.com.cn", DualStack: true},
	{Name: "European Sovereign Cloud", Pattern: "*.dkr.ecr.*.amazonaws.eu", Sample: "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", Suffix: "amazonaws.eu"},
	{Name: "US ISO", Pattern: "*.dkr.ecr.*.c2s.ic.gov", Sample: "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", Suffix: "c2s.ic.gov"},
	{Name: "US ISOB", Pattern: "*.dkr.ecr.*.sc2s.sgov.gov", Sample: "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", Suffix: "sc2s.sgov.gov"},
	{Name: "EU ISOE", Pattern: "*.dkr.ecr.*.cloud.adc-e.uk", Sample: "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", Suffix: "cloud.adc-e.uk"},
	{Name: "US ISOF", Pattern: "*.dkr.ecr.*.csp.hci.ic.gov", Sample: "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", Suffix: "csp.hci.ic.gov"},
}

// ECRForms returns the forms of ECR's hosts, the commonest first.
func ECRForms() []ECRForm { return slices.Clone(ecrForms) }

// regionSuffixes says which suffix the hosts of a region have, by the region's
// beginning; a region of none of these is one of amazonaws.com.
var regionSuffixes = []struct{ prefix, suffix, dualStack string }{
	{"cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"eusc-", "amazonaws.eu", ""},
	{"us-iso-", "c2s.ic.gov", ""},
	{"us-isob-", "sc2s.sgov.gov", ""},
	{"eu-isoe-", "cloud.adc-e.uk", ""},
	{"us-isof-", "csp.hci.ic.gov", ""},
}

// ecrHost is a pattern's host read as one of ECR's.
type ecrHost struct {
	account   []string // the labels before dkr
	service   string   // "dkr.ecr", "dkr.ecr-fips", "dkr-ecr", "dkr-ecr-fips"
	region    string
	suffix    string
	dualStack bool
}

// readECRHost reads a pattern's host as a private ECR host; ok is false for one
// that does not look like any.
func readECRHost(labels []string) (h ecrHost, ok bool) {
	for i, l := range labels {
		switch {
		case l == "dkr-ecr" || l == "dkr-ecr-fips":
			h.service, h.dualStack = l, true
			labels, h.account = labels[i+1:], labels[:i]
		case l == "dkr" && i+1 < len(labels) && (labels[i+1] == "ecr" || labels[i+1] == "ecr-fips"):
			h.service = l + "." + labels[i+1]
			labels, h.account = labels[i+2:], labels[:i]
		default:
			continue
		}
		if len(labels) > 0 && (strings.Contains(labels[0], "*") || strings.Count(labels[0], "-") >= 2) {
			h.region, labels = labels[0], labels[1:]
		}
		h.suffix = strings.Join(labels, ".")
		return h, true
	}
	return h, false
}

// rightSuffix is the suffix that the host should have, nearest to what it has.
func (h ecrHost) rightSuffix() string {
	for _, r := range regionSuffixes {
		if strings.HasPrefix(h.region, r.prefix) {
			if h.dualStack && r.dualStack != "" {
				return r.dualStack
			}
			return r.suffix
		}
	}
	best, distance := "", 0
	for _, f := range ecrForms {
		if f.Suffix == "" || f.DualStack != h.dualStack {
			continue
		}
		if strings.Contains(h.region, "-") && !strings.Contains(h.region, "*") && f.Suffix != "amazonaws.com" && f.Suffix != "on.aws" {
			continue // a region named in full that is of no other partition
		}
		d := editDistance(h.suffix, f.Suffix)
		// What somebody shortens keeps its end: amazonaws.cn is China's.
		if strings.HasSuffix(h.suffix, ".cn") == strings.HasSuffix(f.Suffix, ".cn") {
			d -= 4
		}
		if best == "" || d < distance {
			best, distance = f.Suffix, d
		}
	}
	return best
}

// mend returns the pattern's host as ECR spells it.
func (h ecrHost) mend() string {
	account := "*"
	if len(h.account) == 1 && h.account[0] != "" {
		account = h.account[0]
	}
	region := h.region
	if region == "" {
		region = "*"
	}
	return account + "." + h.service + "." + region + "." + h.rightSuffix()
}

// editDistance is the number of characters to insert, delete or replace that
// lead from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, previous+1)
		}
	}
	return row[len(b)]
}

// uncoveredECR returns the forms of ECR host that none of the patterns covers.
func uncoveredECR(patterns []Pattern) []ECRForm {
	var out []ECRForm
	for _, f := range ecrForms {
		t, err := NewTarget(f.Sample + "/x")
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(patterns, func(p Pattern) bool { return p.coversECR(f, &t) }) {
			out = append(out, f)
		}
	}
	return out
}

// coversECR tells whether the pattern covers some host of the form: the sample,
// or the sample with the account, region or path that the pattern names.
func (p *Pattern) coversECR(f ECRForm, sample *Target) bool {
	if p.Match(sample) {
		return true
	}
	if f.Suffix == "" {
		return len(p.labels) == sample.n && p.port == "" && p.hostMatches(sample)
	}
	labels := make([]string, len(p.labels))
	for i := range p.labels {
		labels[i] = p.labels[i].text
	}
	h, ok := readECRHost(labels)
	if !ok || p.port != "" || h.region == "" || h.suffix != f.Suffix || len(h.account) != 1 {
		return false
	}
	return f.Pattern == "*."+h.service+".*."+f.Suffix
}

func (p *Pattern) hostMatches(t *Target) bool {
	for i := range p.labels {
		if !p.labels[i].match(t.label(i)) {
			return false
		}
	}
	return true
}

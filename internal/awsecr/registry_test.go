package awsecr_test

import (
	"strings"
	"testing"

	"github.com/kubecred/kubecred/internal/awsecr"
)

func TestParseRegistry(t *testing.T) {
	for host, want := range map[string]awsecr.Registry{
		"123456789012.dkr.ecr.us-east-1.amazonaws.com":                {Region: "us-east-1"},
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       {Region: "us-gov-west-1", FIPS: true},
		"123456789012.dkr-ecr.eu-west-1.on.aws":                       {Region: "eu-west-1", DualStack: true},
		"123456789012.dkr-ecr-fips.us-east-2.on.aws":                  {Region: "us-east-2", FIPS: true, DualStack: true},
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            {Region: "cn-north-1"},
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {Region: "cn-north-1", DualStack: true},
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            {Region: "eusc-de-east-1"},
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov":               {Region: "us-iso-east-1"},
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           {Region: "us-isob-east-1"},
		"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          {Region: "eu-isoe-west-1"},
		"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         {Region: "us-isof-south-1"},
		"123456789012.dkr.ecr.eu-newregion-3.amazonaws.com":           {Region: "eu-newregion-3"},
		"public.ecr.aws":     {Public: true},
		"ecr-public.aws.com": {Public: true, DualStack: true},
	} {
		want.Host = host
		if !want.Public {
			want.Account = "123456789012"
		}
		if got, ok := awsecr.ParseRegistry(host); !ok || got != want {
			t.Errorf("%s: %+v %v", host, got, ok)
		}
	}
}

// notECR only look like registries of ECR.
var notECR = []string{
	"", "evil.com", "evil.com:443", "docker.io", "ecr.aws", "evil-public.ecr.aws", "public.ecr.aws.evil.com", "public.ecr.aws:443",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com",
	"evil.123456789012.dkr.ecr.us-east-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com:443",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com.",
	"123456789012.dkr.ecr.us-east-1.amazonaws.cn",
	"123456789012.dkr.ecr.cn-north-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
	"123456789012.dkr.ecr.us-east-1.on.aws",
	"123456789012.dkr-ecr.us-east-1.amazonaws.com",
	"123456789012.dkr.ecr.evil.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1-evil.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
	"12345678901.dkr.ecr.us-east-1.amazonaws.com", "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
	"123456789012.dkr.ecr.US-EAST-1.amazonaws.com", "123456789012.dkrxecr.us-east-1.amazonaws.com",
	"123456789012.dkr.ecr-fipsx.us-east-1.amazonaws.com", "123456789012.dkr.ecr..amazonaws.com",
	"user@123456789012.dkr.ecr.us-east-1.amazonaws.com",
}

func FuzzParseRegistry(f *testing.F) {
	for _, host := range notECR {
		f.Add(host)
	}
	f.Add("123456789012.dkr.ecr.us-east-1.amazonaws.com")
	f.Fuzz(func(t *testing.T, host string) {
		r, ok := awsecr.ParseRegistry(host)
		if !ok {
			return
		}
		owned := r.Public
		for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".on.aws", ".on.amazonwebservices.com.cn", ".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk", ".csp.hci.ic.gov"} {
			owned = owned || strings.HasSuffix(host, suffix)
		}
		if !owned || strings.ContainsAny(host, "/:@ \n") || r.Host != host {
			t.Fatalf("%q: %+v", host, r)
		}
	})
}

// Each of them only looks like a registry of ECR.
func TestOthersAreNone(t *testing.T) {
	for _, host := range notECR {
		if r, ok := awsecr.ParseRegistry(host); ok {
			t.Errorf("%q: %+v", host, r)
		}
	}
}

func TestAlias(t *testing.T) {
	const registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
	aliases, err := awsecr.ParseAliases([]string{"a.example=public.ecr.aws", "registry.example.com:5000=" + registry})
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := awsecr.RegistryOf("registry.example.com:5000", aliases); !ok || r.Host != registry {
		t.Errorf("%+v", r)
	}
	if _, ok := awsecr.RegistryOf("registry.example.com", aliases); ok {
		t.Error("without its port it is another host")
	}
	for _, s := range []string{"", "x", "=" + registry, "a/b=" + registry, "a=evil.com"} {
		if _, err := awsecr.ParseAlias(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

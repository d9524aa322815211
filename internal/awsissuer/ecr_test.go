package awsissuer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsecr"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// The SDK's rules are asked for the endpoint of each region and variant.
func TestECREndpointsAreTheSDKs(t *testing.T) {
	endpoint := func(r awsecr.Registry, fips, dual bool) string {
		service, region := r.Service()
		host, err := service.Host(region, fips, dual)
		if err != nil {
			t.Fatal(err)
		}
		return "https://" + host
	}
	n := 0
	for _, partition := range []string{"aws", "aws-us-gov", "aws-cn", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"} {
		for _, region := range ekstoken.Regions(partition) {
			for variant := range 4 {
				fips, dual := variant&1 != 0, variant&2 != 0
				want, err := ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), ecr.EndpointParameters{
					Region: aws.String(region), UseFIPS: aws.Bool(fips), UseDualStack: aws.Bool(dual),
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := endpoint(awsecr.Registry{Region: region}, fips, dual); got != want.URI.String() {
					t.Errorf("%s: %s, want %s", region, got, want.URI.String())
				}
				n++
			}
		}
	}
	for variant := range 4 {
		fips, dual := variant&1 != 0, variant&2 != 0
		want, err := ecrpublic.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), ecrpublic.EndpointParameters{
			Region: aws.String("us-east-1"), UseFIPS: aws.Bool(fips), UseDualStack: aws.Bool(dual),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := endpoint(awsecr.Registry{Public: true}, fips, dual); got != want.URI.String() {
			t.Errorf("public: %s, want %s", got, want.URI.String())
		}
	}
	if n < 100 {
		t.Errorf("%d endpoints compared: too few", n)
	}
	if _, err := (awsecr.Service{}).Host("moon", false, false); err == nil {
		t.Error("moon is a region")
	}
}

// Requests that are signed without the SDK are signed as it would.
func TestSignaturesAreTheSDKs(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	hash := sha256.Sum256([]byte(awsecr.Body))
	for _, k := range []awskeys.Keys{
		{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
		{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Secret: "x", Session: "FwoGZXIvYXdzEBYaD+/=="},
	} {
		for _, r := range []awsecr.Registry{{Region: "eu-west-1"}, {Region: "cn-north-1"}, {Public: true}} {
			for _, host := range []string{"api.ecr.eu-west-1.amazonaws.com", "127.0.0.1:4711"} {
				service, region := r.Service()
				req, err := http.NewRequest(http.MethodPost, "https://"+host+"/", strings.NewReader(awsecr.Body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", awsecr.ContentType)
				req.Header.Set("X-Amz-Target", service.Target)
				req.Header.Set("User-Agent", awsecr.UserAgent)
				keys := aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret, SessionToken: k.Session}
				if err := v4.NewSigner().SignHTTP(t.Context(), keys, req, hex.EncodeToString(hash[:]), service.Name, region, now); err != nil {
					t.Fatal(err)
				}
				got := http.Header{}
				for _, h := range awsecr.NewRequest(service, region, host, k, now).Headers {
					got.Add(h[0], h[1])
				}
				if diff := cmp.Diff(req.Header, got); diff != "" {
					t.Errorf("%s %s: %s", service.Name, host, diff)
				}
			}
		}
	}
}

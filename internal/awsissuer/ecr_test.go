package awsissuer

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"github.com/kubecred/kubecred/ekstoken"
)

// The SDK's rules are asked for the endpoint of each region and variant.
func TestECREndpointsAreTheSDKs(t *testing.T) {
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
				if got, err := privateECR.endpoint(region, fips, dual); err != nil || got != want.URI.String() {
					t.Errorf("%s: %s, %v, want %s", region, got, err, want.URI.String())
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
		if got, err := publicECR.endpoint("us-east-1", fips, dual); err != nil || got != want.URI.String() {
			t.Errorf("public: %s, %v, want %s", got, err, want.URI.String())
		}
	}
	if n < 100 {
		t.Errorf("%d endpoints compared: too few", n)
	}
	if _, err := privateECR.endpoint("moon", false, false); err == nil {
		t.Error("moon is a region")
	}
}

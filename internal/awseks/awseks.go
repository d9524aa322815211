// Package awseks asks EKS for clusters. Credentials, regions, endpoints and
// retries are the AWS SDK's and its settings' (environment, profiles, SSO, web
// identity, instance metadata).
package awseks

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// Options say as whom and where to ask. Empty fields are left to the SDK.
type Options struct {
	Region, Profile string
}

// Cluster is what a kubeconfig needs to know of a cluster.
type Cluster struct {
	Name, ARN, Region string
	// ID is set for local clusters on Outposts, which tokens name by it.
	ID       string
	Endpoint string
	CAData   string // base64 of PEM
	Status   string
}

// Client asks EKS in one region.
type Client struct {
	eks    *eks.Client
	region string
}

// callTimeout bounds one HTTP call; the SDK retries a few times.
const callTimeout = 15 * time.Second

// New reads the SDK's settings.
func New(ctx context.Context, o Options) (*Client, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout)),
		config.WithLogger(logging.Nop{}), // errors say what is to be said
	}
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		var missing config.SharedConfigProfileNotExistError
		if errors.As(err, &missing) {
			return nil, fmt.Errorf("the AWS profile %q is in neither ~/.aws/config nor ~/.aws/credentials: make it with aws configure --profile, or give another --profile", missing.Profile)
		}
		return nil, fmt.Errorf("the AWS settings can't be read: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("no AWS region: give --region, or set AWS_REGION or the profile's region")
	}
	client := eks.NewFromConfig(c, func(eo *eks.Options) {
		if eo.BaseEndpoint != nil {
			// A configured endpoint wins; the SDK refuses FIPS and dual-stack beside it.
			eo.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			eo.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
	})
	return &Client{client, c.Region}, nil
}

// Describe returns one cluster.
func (c *Client) Describe(ctx context.Context, name string) (Cluster, error) {
	out, err := c.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	if err != nil {
		return Cluster{}, c.explain(err, name)
	}
	if out.Cluster == nil {
		return Cluster{}, fmt.Errorf("EKS answered without a cluster for %q", name)
	}
	cl := Cluster{
		Name: aws.ToString(out.Cluster.Name), ARN: aws.ToString(out.Cluster.Arn), Region: c.region,
		Endpoint: aws.ToString(out.Cluster.Endpoint), Status: string(out.Cluster.Status),
	}
	if out.Cluster.CertificateAuthority != nil {
		cl.CAData = aws.ToString(out.Cluster.CertificateAuthority.Data)
	}
	if out.Cluster.OutpostConfig != nil {
		cl.ID = aws.ToString(out.Cluster.Id)
	}
	return cl, cl.check()
}

// check refuses a cluster that nobody can connect to yet.
func (c Cluster) check() error {
	ca, err := base64.StdEncoding.DecodeString(c.CAData)
	switch {
	case c.Status == "CREATING" || c.Endpoint == "" && c.Status != "FAILED":
		return fmt.Errorf("cluster %s is %s and has no address yet: run it again when it is ACTIVE", c.Name, c.Status)
	case c.Status == "FAILED" || c.Status == "DELETING":
		return fmt.Errorf("cluster %s is %s: there is nothing to connect to", c.Name, c.Status)
	case err != nil:
		return fmt.Errorf("cluster %s has a certificate authority that is no base64", c.Name)
	}
	if block, _ := pem.Decode(ca); block == nil {
		return fmt.Errorf("cluster %s has a certificate authority that is no certificate", c.Name)
	}
	return nil
}

// maxClusters bounds what is listed; EKS allows a hundred per region by default.
const maxClusters = 10_000

// List returns the names of the region's clusters.
func (c *Client) List(ctx context.Context) ([]string, error) {
	var names []string
	pages := eks.NewListClustersPaginator(c.eks, &eks.ListClustersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.explain(err, "")
		}
		if names = append(names, page.Clusters...); len(names) > maxClusters {
			return nil, fmt.Errorf("more than %d clusters in %s", maxClusters, c.region)
		}
	}
	return names, nil
}

// explain puts the SDK's error into a line with the way out.
func (c *Client) explain(err error, name string) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch code := api.ErrorCode(); {
		case code == "ResourceNotFoundException" && name != "":
			return fmt.Errorf("no cluster %q in %s: see aws eks list-clusters --region %s", name, c.region, c.region)
		case strings.HasPrefix(code, "AccessDenied"):
			return fmt.Errorf("EKS in %s refuses: %s; eks:DescribeCluster (and eks:ListClusters for --all-clusters) must be allowed", c.region, api.ErrorMessage())
		default:
			return fmt.Errorf("EKS in %s refuses: %s: %s", c.region, code, api.ErrorMessage())
		}
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "get identity") || strings.Contains(text, "failed to refresh cached credentials") || strings.Contains(text, "get credentials"):
		return fmt.Errorf("no AWS credentials: log in (aws sso login, aws configure) or give --profile (%s)", last(text))
	case strings.Contains(text, "exceeded maximum number of attempts") || strings.Contains(text, "request send failed"):
		return fmt.Errorf("EKS in %s can't be reached: %s", c.region, last(text))
	}
	return fmt.Errorf("EKS in %s: %s", c.region, last(text))
}

// last is the innermost part of a chain of wrapped errors.
func last(text string) string {
	parts := strings.Split(text, ", ")
	i := len(parts) - 1
	for i > 0 && strings.HasPrefix(parts[i], "or ") { // a list of words, not of errors
		i--
	}
	return strings.Join(parts[i:], ", ")
}

// Package awsread reads from AWS what the webhook needs beside STS: the access
// entries of an EKS cluster and the names of EC2 instances. Credentials,
// regions, endpoints and retries are the SDK's and its settings'.
package awsread

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go/logging"
)

// Load returns the SDK's configuration, for a region where one is given.
func Load(ctx context.Context, region string) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // errors say what is to be said
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return c, fmt.Errorf("AWS settings: %w", err)
	}
	if c.Region == "" {
		return c, errors.New("no AWS region: set AWS_REGION or --region")
	}
	return c, nil
}

// maxEntries bounds what is read of one cluster; EKS itself allows fewer.
const maxEntries = 10000

// AccessEntries reads the access entries of a cluster with their policies, as
// the JSON that iammap reads.
func AccessEntries(ctx context.Context, c aws.Config, cluster string) ([]byte, error) {
	client := eks.NewFromConfig(c)
	var arns []string
	pages := eks.NewListAccessEntriesPaginator(client, &eks.ListAccessEntriesInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("access entries of %s: %w", cluster, err)
		}
		if arns = append(arns, page.AccessEntries...); len(arns) > maxEntries {
			return nil, fmt.Errorf("access entries of %s: more than %d", cluster, maxEntries)
		}
	}
	out := make([]accessEntry, len(arns))
	errs := make([]error, len(arns))
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i, arn := range arns {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i], errs[i] = describe(ctx, client, cluster, arn)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	kept := out[:0]
	for _, e := range out {
		if e.PrincipalARN != "" { // an entry that was deleted meanwhile is none
			kept = append(kept, e)
		}
	}
	return json.MarshalIndent(map[string]any{"accessEntries": kept}, "", "  ")
}

// accessEntry is an entry as the aws CLI prints it, with its policies.
type accessEntry struct {
	PrincipalARN string   `json:"principalArn"`
	Type         string   `json:"type"`
	Username     string   `json:"username,omitempty"`
	Groups       []string `json:"kubernetesGroups"`
	Policies     []policy `json:"associatedAccessPolicies,omitempty"`
}

type policy struct {
	PolicyARN   string `json:"policyArn"`
	AccessScope struct {
		Type       string   `json:"type"`
		Namespaces []string `json:"namespaces,omitempty"`
	} `json:"accessScope"`
}

func describe(ctx context.Context, client *eks.Client, cluster, arn string) (accessEntry, error) {
	var e accessEntry
	entry, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &arn})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("access entry of %s: %w", arn, err)
	}
	if entry.AccessEntry == nil {
		return e, fmt.Errorf("access entry of %s: EKS answers without it", arn)
	}
	policies, err := client.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &cluster, PrincipalArn: &arn})
	if err != nil {
		return e, fmt.Errorf("access policies of %s: %w", arn, err)
	}
	e = accessEntry{
		PrincipalARN: aws.ToString(entry.AccessEntry.PrincipalArn), Type: aws.ToString(entry.AccessEntry.Type),
		Username: aws.ToString(entry.AccessEntry.Username), Groups: entry.AccessEntry.KubernetesGroups,
	}
	for _, p := range policies.AssociatedAccessPolicies {
		q := policy{PolicyARN: aws.ToString(p.PolicyArn)}
		if p.AccessScope != nil {
			q.AccessScope.Type, q.AccessScope.Namespaces = string(p.AccessScope.Type), p.AccessScope.Namespaces
		}
		e.Policies = append(e.Policies, q)
	}
	return e, nil
}

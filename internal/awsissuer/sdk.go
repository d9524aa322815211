package awsissuer

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// Bounds of the calls to AWS. The kubelet gives a provider a minute.
const (
	callTimeout     = 10 * time.Second
	metadataTimeout = time.Second
	maxAttempts     = 4
	maxBackoff      = 2 * time.Second
)

func httpClient() aws.HTTPClient { return awshttp.NewBuildableClient().WithTimeout(callTimeout) }

// Source says where credentials come from.
type Source struct {
	Profile string
	Region  string
	// Roles are assumed one after the other, each with the credentials of the
	// one before.
	Roles       []string
	SessionName string
	ExternalID  string
	// ForwardSession: the roles' sessions get the name of the one that asks,
	// where it has one, as a role's session does and a user does not.
	ForwardSession bool
}

// loaded is the SDK's configuration with what was learned on the way.
type loaded struct {
	aws.Config
	clock *clock
	// fips and dualStack are what was asked for, which decides the host inside a
	// token even where a configured endpoint keeps the SDK from being asked.
	fips, dualStack bool
}

// load reads the SDK's configuration and puts the roles before its credentials.
func load(ctx context.Context, w World, src Source) (*loaded, error) {
	l := &loaded{clock: &clock{now: w.Now}}
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // errors say what is to be said
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(func() aws.Retryer {
			return retry.AddWithMaxBackoffDelay(retry.AddWithMaxAttempts(retry.NewStandard(), maxAttempts), maxBackoff)
		}),
		config.WithAPIOptions([]func(*middleware.Stack) error{l.clock.watch, l.endpoint(w).apply}),
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			serial := aws.ToString(o.SerialNumber)
			o.TokenProvider = func() (string, error) {
				if w.AskMFA == nil {
					return "", errNobodyToAsk
				}
				return w.AskMFA(ctx, serial)
			}
		}),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) {
			o.Client = boundedMetadata{func() *imds.Client { return imds.NewFromConfig(l.Config) }}
		}),
	}
	if src.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(src.Profile))
	}
	if src.Region != "" {
		options = append(options, config.WithRegion(src.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, l.explain(err, src, w)
	}
	l.Config = cfg
	l.fips, l.dualStack = variants(ctx, cfg.ConfigSources)
	if (l.fips || l.dualStack) && hasEndpoint(cfg, w) {
		// A configured endpoint wins, and the SDK refuses to be asked for FIPS or
		// dual-stack beside it.
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateDisabled), config.WithUseDualStackEndpoint(aws.DualStackEndpointStateDisabled))
		if l.Config, err = config.LoadDefaultConfig(ctx, options...); err != nil {
			return nil, l.explain(err, src, w)
		}
	}
	if l.Region == "" && l.Credentials != nil {
		l.Region = l.metadataRegion(ctx, w)
	}
	if err := l.assume(ctx, w, src); err != nil {
		return nil, err
	}
	return l, nil
}

// assume puts the roles, one after the other, before the credentials.
func (l *loaded) assume(ctx context.Context, w World, src Source) error {
	session := src.SessionName
	for _, role := range src.Roles {
		cfg := l.Config
		cfg.Region = cmp.Or(cfg.Region, "us-east-1") // as the peers do where none is known
		client := sts.NewFromConfig(cfg)
		if src.ForwardSession && session == "" {
			var err error
			if session, err = ownSession(ctx, client); err != nil {
				return l.explain(err, src, w)
			}
		}
		l.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = cmp.Or(session, "kubecred")
			if src.ExternalID != "" {
				o.ExternalID = aws.String(src.ExternalID)
			}
		}))
	}
	return nil
}

// ownSession is the name of the session that asks, "" for a user.
func ownSession(ctx context.Context, client *sts.Client) (string, error) {
	out, err := client.GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", err
	}
	_, name, _ := strings.Cut(aws.ToString(out.UserId), ":")
	return name, nil
}

// retrieve gets the credentials.
func (l *loaded) retrieve(ctx context.Context, w World, src Source) (awskeys.Keys, error) {
	if l.Credentials == nil {
		return awskeys.Keys{}, noCredentials(nil)
	}
	c, err := l.Credentials.Retrieve(ctx)
	if err != nil {
		return awskeys.Keys{}, l.explain(err, src, w)
	}
	k := awskeys.Keys{AccessKeyID: c.AccessKeyID, Secret: c.SecretAccessKey, Session: c.SessionToken, Source: c.Source}
	if c.CanExpire { // by AWS's clock, and wanted by the machine's
		k.Expires = c.Expires.Add(-l.clock.offset())
	}
	return k, nil
}

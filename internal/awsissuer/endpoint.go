package awsissuer

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// variants are what the configuration asks for; the first source that says
// something counts.
func variants(ctx context.Context, sources []any) (fips, dualStack bool) {
	haveFIPS, haveDual := false, false
	for _, source := range sources {
		if s, ok := source.(interface {
			GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error)
		}); ok && !haveFIPS {
			if v, found, err := s.GetUseFIPSEndpoint(ctx); err == nil && found {
				fips, haveFIPS = v == aws.FIPSEndpointStateEnabled, true
			}
		}
		if s, ok := source.(interface {
			GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error)
		}); ok && !haveDual {
			if v, found, err := s.GetUseDualStackEndpoint(ctx); err == nil && found {
				dualStack, haveDual = v == aws.DualStackEndpointStateEnabled, true
			}
		}
	}
	return fips, dualStack
}

// services are those that the SDK calls, by the names of their endpoint variables.
var services = []string{"STS", "SSO", "SSO_OIDC", "SIGNIN"}

// hasEndpoint tells whether an endpoint URL is configured for a service that the
// SDK calls.
func hasEndpoint(cfg aws.Config, w World) bool {
	if awskeys.IsTrue(w.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
		return false
	}
	if cfg.BaseEndpoint != nil {
		return true
	}
	for _, service := range services {
		if w.Getenv("AWS_ENDPOINT_URL_"+service) != "" {
			return true
		}
	}
	return profileEndpoint(cfg, "")
}

// baseEndpoint sends calls to the configured endpoint that is for all services.
// The SDK knows that one only once its configuration is whole, and so the calls
// by which a profile's own credentials are got would go to AWS.
type baseEndpoint struct {
	l *loaded
	w World
}

func (l *loaded) endpoint(w World) baseEndpoint { return baseEndpoint{l, w} }

func (b baseEndpoint) apply(stack *middleware.Stack) error {
	// A client without endpoint rules has no such step.
	const resolve = "ResolveEndpointV2"
	if _, ok := stack.Finalize.Get(resolve); !ok {
		return nil
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("KubecredEndpoint", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			b.redirect(req, awsmiddleware.GetServiceID(ctx))
		}
		return next.HandleFinalize(ctx, in)
	}), resolve, middleware.After)
}

func (b baseEndpoint) redirect(req *smithyhttp.Request, service string) {
	name := strings.ToUpper(strings.ReplaceAll(service, " ", "_"))
	if !slices.Contains(services, name) { // instance metadata has one of its own
		return
	}
	if b.l.BaseEndpoint == nil || b.w.Getenv("AWS_ENDPOINT_URL_"+name) != "" || profileEndpoint(b.l.Config, strings.ToLower(name)) {
		return
	}
	base, err := url.Parse(*b.l.BaseEndpoint)
	if err != nil || base.Host == "" || base.Host == req.URL.Host {
		return
	}
	req.URL.Scheme, req.URL.Host = base.Scheme, base.Host
	req.URL.Path = strings.TrimSuffix(base.Path, "/") + req.URL.Path
	req.Host = ""
}

// profileEndpoint tells whether the profile has an endpoint for the service, or,
// where that is "", for any.
func profileEndpoint(cfg aws.Config, service string) bool {
	return profileEndpointURL(cfg, service) != ""
}

func profileEndpointURL(cfg aws.Config, service string) string {
	for _, source := range cfg.ConfigSources {
		s, ok := source.(config.SharedConfig)
		if !ok {
			continue
		}
		for name, values := range s.Services.ServiceValues {
			if url := values["endpoint_url"]; (service == "" || name == service) && url != "" {
				return url
			}
		}
	}
	return ""
}

package awsissuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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
	if err := l.assume(src); err != nil {
		return nil, err
	}
	return l, nil
}

// assume puts the roles, one after the other, before the credentials.
func (l *loaded) assume(src Source) error {
	if len(src.Roles) > 0 && l.Region == "" {
		return noRegion(src.Profile)
	}
	for _, role := range src.Roles {
		client := sts.NewFromConfig(l.Config)
		l.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = src.SessionName
			if o.RoleSessionName == "" {
				o.RoleSessionName = "kubecred"
			}
			if src.ExternalID != "" {
				o.ExternalID = aws.String(src.ExternalID)
			}
		}))
	}
	return nil
}

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
	if isTrue(w.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
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

// metadataRegion is the region of the instance, where there is one and nothing
// else tells the region.
func (l *loaded) metadataRegion(ctx context.Context, w World) string {
	if isTrue(w.Getenv("AWS_EC2_METADATA_DISABLED")) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	out, err := imds.NewFromConfig(l.Config).GetRegion(ctx, nil)
	if err != nil {
		return ""
	}
	return out.Region
}

// boundedMetadata keeps machines without instance metadata from waiting for it.
type boundedMetadata struct{ client func() *imds.Client }

func (b boundedMetadata) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, options ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	// The answer is read after the call returns, so the context must live on.
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	out, err := b.client().GetMetadata(ctx, in, options...)
	if err != nil {
		cancel()
		return nil, err
	}
	out.Content = closing{out.Content, cancel}
	return out, nil
}

// clock compares AWS's time with the machine's, in each answer.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	skew time.Duration // how far the machine is behind AWS
	seen bool
}

// watch adds the comparison to a client.
func (c *clock) watch(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KubecredClock", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if resp, ok := out.RawResponse.(*smithyhttp.Response); ok && resp != nil && resp.Response != nil {
			c.compare(resp.Header.Get("Date"))
		}
		return out, metadata, err
	}), middleware.After)
}

// compare takes the time that an answer tells.
func (c *clock) compare(date string) {
	if at, err := http.ParseTime(date); err == nil {
		c.mu.Lock()
		c.skew, c.seen = at.Sub(c.now()), true
		c.mu.Unlock()
	}
}

// offset is how far the machine's clock is behind AWS's, where more than a
// minute; less is the way of the answer.
func (c *clock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen && c.skew.Abs() > time.Minute {
		return c.skew.Round(time.Second)
	}
	return 0
}

func noRegion(profile string) error {
	where := "set AWS_REGION"
	if profile != "" {
		where = "set region in profile " + profile
	}
	return &Error{Problem: "no AWS region is known", Hint: "Give --region or " + where}
}

// retrieve gets the credentials.
func (l *loaded) retrieve(ctx context.Context, w World, src Source) (keys, error) {
	if l.Credentials == nil {
		return keys{}, noCredentials(nil)
	}
	c, err := l.Credentials.Retrieve(ctx)
	if err != nil {
		return keys{}, l.explain(err, src, w)
	}
	k := keys{accessKeyID: c.AccessKeyID, secret: c.SecretAccessKey, session: c.SessionToken, source: c.Source}
	if c.CanExpire {
		k.expires = c.Expires
	}
	return k, nil
}

func noCredentials(err error) error {
	return &Error{
		Problem: "no AWS credentials: none in the environment, the profile, a web identity, the container or the instance",
		Hint:    "Set AWS_PROFILE, log in with 'aws sso login', or give the machine a role",
		Err:     err,
	}
}

// explain turns an error of the SDK into one line for a person.
func (l *loaded) explain(err error, src Source, w World) error {
	profile := profileName(w, src.Profile)
	text := err.Error()
	var api smithy.APIError
	var status *smithyhttp.ResponseError
	var missing config.SharedConfigProfileNotExistError
	var unsent *smithyhttp.RequestSendError
	offset := l.clock.offset()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &missing):
		return &Error{Problem: fmt.Sprintf("there is no AWS profile %q", missing.Profile), Hint: "'aws configure list-profiles' names those there are", Err: err}
	case errors.Is(err, errNobodyToAsk):
		return &Error{
			Problem: "profile " + profile + " wants an MFA code, and nobody can be asked for it",
			Hint:    "Run it with a terminal (interactiveMode: IfAvailable in the kubeconfig), or get a session first", Err: err,
		}
	case offset != 0 && skewed(err):
		return &Error{
			Problem: fmt.Sprintf("AWS refuses the signature, because this machine's clock is %s %s", offset.Abs(), direction(offset)),
			Hint:    "Set the clock", Err: err,
		}
	case strings.Contains(text, "SSO") && (strings.Contains(text, "expired") || strings.Contains(text, "refresh cached") || strings.Contains(text, "InvalidGrant")) || strings.Contains(text, "failed to read cached SSO token"):
		return &Error{Problem: "the SSO login of profile " + profile + " has expired, or there was none", Hint: "Log in with: aws sso login --profile " + profile, Err: err}
	case errors.As(err, &api):
		s := fmt.Sprintf("AWS answers %s: %s", api.ErrorCode(), oneLine(api.ErrorMessage()))
		if api.ErrorMessage() == "" {
			s = "AWS answers " + api.ErrorCode()
		}
		if offset != 0 {
			s += fmt.Sprintf(" (this machine's clock is %s %s)", offset.Abs(), direction(offset))
		}
		return &Error{Problem: s, Hint: hintFor(api.ErrorCode(), src), Err: err, Transient: passing(err, api)}
	case errors.As(err, &unsent):
		return &Error{Problem: "AWS cannot be reached: " + oneLine(unsent.Err.Error()), Hint: "Is the network, or the proxy, in the way?", Err: err, Transient: true}
	case errors.As(err, &status):
		return &Error{Problem: fmt.Sprintf("AWS answers with HTTP status %d", status.HTTPStatusCode()), Err: err, Transient: true}
	case strings.Contains(text, "no EC2 IMDS role found"):
		return noCredentials(err)
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Problem: "AWS did not answer in time", Hint: "Is the network, or the proxy, in the way?", Err: err, Transient: true}
	}
	return &Error{Problem: "getting AWS credentials failed: " + oneLine(cause(err)), Err: err, Transient: true}
}

// cause is the innermost error that has something to say.
func cause(err error) string {
	for {
		var op *smithy.OperationError
		if !errors.As(err, &op) {
			return err.Error()
		}
		err = op.Err
	}
}

func direction(offset time.Duration) string {
	if offset > 0 {
		return "behind AWS's"
	}
	return "ahead of AWS's"
}

// skewed tells whether AWS refused a request for its date.
func skewed(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestInTheFuture":
		return true
	}
	return false
}

// passing tells whether an error of AWS may pass by itself.
func passing(err error, api smithy.APIError) bool {
	if strings.Contains(api.ErrorCode(), "Throttl") || api.ErrorFault() == smithy.FaultServer {
		return true
	}
	var status *smithyhttp.ResponseError
	return errors.As(err, &status) && status.HTTPStatusCode() >= 500
}

func hintFor(code string, src Source) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		if len(src.Roles) > 0 {
			return "Does the role's trust policy name who asks, and the external id?"
		}
	case "ExpiredToken", "ExpiredTokenException":
		return "Log in again"
	case "InvalidClientTokenId", "UnrecognizedClientException":
		return "The access key is unknown to AWS: deleted, or of another partition"
	case "Throttling", "ThrottlingException":
		return "AWS was asked too often: kubecred-exec keeps what it gets"
	}
	return ""
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

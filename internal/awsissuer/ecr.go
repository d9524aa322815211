package awsissuer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// The one operation of ECR that is wanted here is called without the SDK's
// clients for ECR: linking the two of them, with all their operations, takes a
// third of the program's start.

// ecrService is one of the two APIs that give out passwords.
type ecrService struct {
	name   string // in signatures
	target string // X-Amz-Target
	prefix string // of hosts
}

var (
	privateECR = ecrService{"ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "api.ecr"}
	publicECR  = ecrService{"ecr-public", "SpencerFrontendService.GetAuthorizationToken", "api.ecr-public"}
)

// service is the API that gives out the registry's passwords, and its region.
func (r Registry) service() (ecrService, string) {
	if r.Public {
		return publicECR, "us-east-1"
	}
	return privateECR, r.Region
}

// endpoint is the address of the API, as the SDK's endpoint rules have it.
func (s ecrService) endpoint(region string, fips, dualStack bool) (string, error) {
	sts, err := ekstoken.EndpointFor(region, false, dualStack)
	if err != nil {
		return "", &Error{Problem: strings.TrimPrefix(err.Error(), "ekstoken: ")}
	}
	prefix := s.prefix
	if fips {
		prefix += "-fips"
	}
	if dualStack && (s.name == privateECR.name || !fips) {
		prefix = strings.TrimPrefix(prefix, "api.")
	}
	return "https://" + prefix + strings.TrimPrefix(sts.Host, "sts"), nil
}

// ecrCall asks for a password.
type ecrCall struct {
	service ecrService
	region  string
	url     string
	keys    func(context.Context) (awskeys.Keys, error)
	client  aws.HTTPClient
	clock   *clock
}

// ecrPassword is the answer, base64(user:password), and its end.
type ecrPassword struct {
	AuthorizationToken string  `json:"authorizationToken"`
	ExpiresAt          float64 `json:"expiresAt"` // seconds since 1970
}

// maxECRAnswer bounds an answer. Real ones have some kilobytes.
const maxECRAnswer = 1 << 20

// do asks, and again where the SDK's own rules say that it may help.
func (c *ecrCall) do(ctx context.Context) (ecrPassword, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return ecrPassword{}, err
	}
	rules := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
	})
	signedWith := time.Duration(0)
	for attempt := 1; ; attempt++ {
		p, err := c.once(ctx, k, signedWith)
		if err == nil || attempt == maxAttempts || ctx.Err() != nil {
			return p, err
		}
		if offset := c.clock.offset(); offset != signedWith && skewed(err) {
			signedWith = offset // sign with AWS's time
			continue
		}
		if !rules.IsErrorRetryable(err) {
			return p, err
		}
		delay, _ := rules.RetryDelay(attempt, err) // fails for attempts below 1 alone
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return p, err
		}
	}
}

// once asks once, with the machine's time moved by offset.
func (c *ecrCall) once(ctx context.Context, k awskeys.Keys, offset time.Duration) (ecrPassword, error) {
	const body = "{}"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return ecrPassword{}, &Error{Problem: "the configured endpoint is no URL"}
	}
	if req.URL.Path == "" {
		req.URL.Path = "/"
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", c.service.target)
	req.Header.Set("User-Agent", "kubecred-aws")
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret, SessionToken: k.Session},
		req, hex.EncodeToString(sum[:]), c.service.name, c.region, c.clock.now().Add(offset))
	if err != nil {
		return ecrPassword{}, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return ecrPassword{}, &smithyhttp.RequestSendError{Err: err}
	}
	defer resp.Body.Close()
	c.clock.compare(resp.Header.Get("Date"))
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxECRAnswer))
	if err != nil {
		return ecrPassword{}, &smithyhttp.RequestSendError{Err: err}
	}
	if resp.StatusCode != http.StatusOK {
		return ecrPassword{}, &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp}, Err: apiError(resp, data)}
	}
	var answer struct {
		AuthorizationData json.RawMessage `json:"authorizationData"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return ecrPassword{}, errNoPassword
	}
	// A list for private registries, an object for the public one.
	var list []ecrPassword
	if !bytes.HasPrefix(answer.AuthorizationData, []byte("[")) {
		list = make([]ecrPassword, 1)
		err = json.Unmarshal(answer.AuthorizationData, &list[0])
	} else {
		err = json.Unmarshal(answer.AuthorizationData, &list)
	}
	if err != nil || len(list) == 0 {
		return ecrPassword{}, errNoPassword
	}
	return list[0], nil
}

// apiError reads an error of the JSON protocol: its code stands in a header or in
// the body, perhaps with a namespace before and an address after it.
func apiError(resp *http.Response, data []byte) error {
	var body struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(data, &body) // what is no JSON has no code
	code := cmp.Or(resp.Header.Get("X-Amzn-ErrorType"), body.Type, body.Code)
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndexByte(code, '#')+1:]
	if code == "" {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	fault := smithy.FaultClient
	if resp.StatusCode >= http.StatusInternalServerError {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{Code: code, Message: body.Message, Fault: fault}
}

var errNoPassword = &Error{Problem: "ECR answered without a password", Transient: true}

// direct asks without the SDK's configuration, where the keys need no call to get
// and no file says anything that only the SDK knows. ok is false where it cannot.
func direct(w World, src Source, r Registry) (c ecrCall, s awskeys.Settings, ok bool) {
	if len(src.Roles) > 0 || w.Getenv("AWS_CA_BUNDLE") != "" {
		return ecrCall{}, s, false
	}
	k, s, ok := awskeys.Static(awskeys.World{Getenv: w.Getenv, Home: w.Home}, src.Profile)
	if !ok {
		return ecrCall{}, s, false
	}
	c.service, c.region = r.service()
	c.clock = &clock{now: w.Now}
	c.client = httpClient()
	c.keys = func(context.Context) (awskeys.Keys, error) { return k, k.Check(w.Now()) }
	if !awskeys.IsTrue(w.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
		c.url = cmp.Or(w.Getenv("AWS_ENDPOINT_URL_"+c.service.variable()), w.Getenv("AWS_ENDPOINT_URL"))
	}
	return c, s, true
}

// variable is how the service is called in the names of variables.
func (s ecrService) variable() string { return strings.ToUpper(strings.ReplaceAll(s.name, "-", "_")) }

// configuredEndpoint is the URL that the environment or the profile names for the
// service, or for all; "" for none.
func (l *loaded) configuredEndpoint(w World, s ecrService) string {
	if awskeys.IsTrue(w.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
		return ""
	}
	url := cmp.Or(w.Getenv("AWS_ENDPOINT_URL_"+s.variable()), profileEndpointURL(l.Config, strings.ToLower(s.variable())))
	if url == "" && l.BaseEndpoint != nil {
		url = *l.BaseEndpoint
	}
	return url
}

// password asks the registry's API with the configuration's keys.
func (l *loaded) password(ctx context.Context, w World, src Source, r Registry) (ecrPassword, error) {
	service, region := r.service()
	c := ecrCall{service: service, region: region, clock: l.clock, client: l.HTTPClient, url: l.configuredEndpoint(w, service)}
	c.keys = func(ctx context.Context) (awskeys.Keys, error) { return l.retrieve(ctx, w, src) }
	return l.ask(ctx, w, src, r, c, awskeys.Settings{FIPS: l.fips, DualStack: l.dualStack})
}

// ask sends the call to the endpoint that the registry's host and the settings
// decide, where none is configured.
func (l *loaded) ask(ctx context.Context, w World, src Source, r Registry, c ecrCall, s awskeys.Settings) (ecrPassword, error) {
	var err error
	if c.url == "" {
		if c.url, err = c.service.endpoint(c.region, r.FIPS || s.FIPS, r.DualStack || s.DualStack); err != nil {
			return ecrPassword{}, err
		}
	}
	p, err := c.do(ctx)
	var ours *Error
	if err != nil && !errors.As(err, &ours) {
		err = l.explain(err, src, w)
	}
	return p, err
}

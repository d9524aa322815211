package awsissuer

import (
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

	"github.com/kubecred/kubecred/internal/awsecr"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// ecrCall asks for a password.
type ecrCall struct {
	service awsecr.Service
	region  string
	url     string
	keys    func(context.Context) (awskeys.Keys, error)
	client  aws.HTTPClient
	clock   *clock
	// tried is what a first attempt came to, made before, with its keys.
	tried *awsecr.Attempt
}

// do asks, and again where the SDK's own rules say that it may help.
func (c *ecrCall) do(ctx context.Context) (awsecr.Password, error) {
	var k awskeys.Keys
	var err error
	if c.tried != nil {
		k = c.tried.Keys
	} else if k, err = c.keys(ctx); err != nil {
		return awsecr.Password{}, err
	}
	rules := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
	})
	signedWith := time.Duration(0)
	for attempt := 1; ; attempt++ {
		p, err := c.attempt(ctx, k, signedWith)
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

// attempt asks once, or takes what an earlier attempt came to.
func (c *ecrCall) attempt(ctx context.Context, k awskeys.Keys, offset time.Duration) (awsecr.Password, error) {
	if t := c.tried; t != nil {
		c.tried = nil
		if t.Status == 0 {
			return awsecr.Password{}, &smithyhttp.RequestSendError{Err: t.Err}
		}
		return c.read(&http.Response{StatusCode: t.Status, Header: t.Header}, t.Body)
	}
	return c.once(ctx, k, offset)
}

// once asks once, with the machine's time moved by offset.
func (c *ecrCall) once(ctx context.Context, k awskeys.Keys, offset time.Duration) (awsecr.Password, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(awsecr.Body))
	if err != nil {
		return awsecr.Password{}, &Error{Problem: "the configured endpoint is no URL"}
	}
	if req.URL.Path == "" {
		req.URL.Path = "/"
	}
	req.Header.Set("Content-Type", awsecr.ContentType)
	req.Header.Set("X-Amz-Target", c.service.Target)
	req.Header.Set("User-Agent", awsecr.UserAgent)
	sum := sha256.Sum256([]byte(awsecr.Body))
	err = v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret, SessionToken: k.Session},
		req, hex.EncodeToString(sum[:]), c.service.Name, c.region, c.clock.now().Add(offset))
	if err != nil {
		return awsecr.Password{}, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return awsecr.Password{}, &smithyhttp.RequestSendError{Err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, awsecr.MaxAnswer))
	if err != nil {
		return awsecr.Password{}, &smithyhttp.RequestSendError{Err: err}
	}
	return c.read(resp, data)
}

// read judges an answer.
func (c *ecrCall) read(resp *http.Response, data []byte) (awsecr.Password, error) {
	c.clock.compare(resp.Header.Get("Date"))
	if resp.StatusCode != http.StatusOK {
		return awsecr.Password{}, &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp}, Err: apiError(resp, data)}
	}
	return awsecr.ReadAnswer(data)
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

// direct asks without the SDK's configuration, where the keys need no call to get
// and no file says anything that only the SDK knows. ok is false where it cannot.
func direct(w World, src Source, r awsecr.Registry) (c ecrCall, s awskeys.Settings, ok bool) {
	if len(src.Roles) > 0 || w.Getenv("AWS_CA_BUNDLE") != "" {
		return ecrCall{}, s, false
	}
	k, s, ok := awskeys.Static(awskeys.World{Getenv: w.Getenv, Home: w.Home}, src.Profile)
	if !ok {
		return ecrCall{}, s, false
	}
	c.service, c.region = r.Service()
	c.clock = &clock{now: w.Now}
	c.client = httpClient()
	c.keys = func(context.Context) (awskeys.Keys, error) { return k, k.Check(w.Now()) }
	c.url = c.service.ConfiguredEndpoint(w.Getenv)
	return c, s, true
}

// configuredEndpoint is the URL that the environment or the profile names for the
// service, or for all; "" for none.
func (l *loaded) configuredEndpoint(w World, s awsecr.Service) string {
	if awsecr.IgnoresEndpoints(w.Getenv) {
		return ""
	}
	url := cmp.Or(w.Getenv("AWS_ENDPOINT_URL_"+s.Variable()), profileEndpointURL(l.Config, strings.ToLower(s.Variable())))
	if url == "" && l.BaseEndpoint != nil {
		url = *l.BaseEndpoint
	}
	return url
}

// password asks the registry's API with the configuration's keys.
func (l *loaded) password(ctx context.Context, w World, src Source, r awsecr.Registry, tried *awsecr.Attempt) (awsecr.Password, error) {
	service, region := r.Service()
	c := ecrCall{service: service, region: region, clock: l.clock, client: l.HTTPClient, tried: tried, url: l.configuredEndpoint(w, service)}
	c.keys = func(ctx context.Context) (awskeys.Keys, error) { return l.retrieve(ctx, w, src) }
	return l.ask(ctx, w, src, r, c, awskeys.Settings{FIPS: l.fips, DualStack: l.dualStack})
}

// ask sends the call to the endpoint that the registry's host and the settings
// decide, where none is configured.
func (l *loaded) ask(ctx context.Context, w World, src Source, r awsecr.Registry, c ecrCall, s awskeys.Settings) (awsecr.Password, error) {
	if c.url == "" {
		host, err := c.service.Host(c.region, r.FIPS || s.FIPS, r.DualStack || s.DualStack)
		if err != nil {
			return awsecr.Password{}, err
		}
		c.url = "https://" + host
	}
	p, err := c.do(ctx)
	var ours *Error
	if err != nil && !errors.As(err, &ours) {
		err = l.explain(err, src, w)
	}
	return p, err
}

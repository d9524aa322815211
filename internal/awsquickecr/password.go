// Package awsquickecr asks for a registry's password before the AWS SDK has
// started, as package awsquick makes tokens: with keys of the environment or a
// profile, or those of the instance's role, and without net/http. What of the SDK
// needs no net/http has started by then; its clients and its configuration have
// not. A test holds that.
//
// It answers only where nothing is out of the ordinary. In every other case, and
// for every error, it prints nothing, and the program goes on to do the same in
// full. What was read and tried until then is not done again: [Taken] has it. A
// test holds that both ways give the same answers and the same refusals.
package awsquickecr

import (
	"context"
	"io"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awscommand"
	"github.com/kubecred/kubecred/internal/awsecr"
	"github.com/kubecred/kubecred/internal/awskeys"
	"github.com/kubecred/kubecred/internal/leanhttp"
)

// World is what the package needs of its surroundings.
type World struct {
	Environ []string
	Getenv  func(string) string
	Home    string
	Stdin   io.Reader
	Now     func() time.Time
}

// Left is what a question that was not answered leaves to the program.
type Left struct {
	// Began is when the question was first looked at; zero where it was no
	// question for a password.
	Began time.Time
	// Input is what was read of stdin.
	Input []byte
	// Attempt is a call of ECR with the node's keys that gave no password, nil for
	// none.
	Attempt *awsecr.Attempt
}

// Bounds of the calls. What they cut off is done again in full, with bounds of its
// own.
const (
	callTimeout     = 5 * time.Second
	metadataTimeout = 500 * time.Millisecond
)

// Answer is what is to be printed, where a password with the node's own identity
// is plain to get, or "" and what is left to do it in full.
func Answer(o awscommand.Options, w World) (string, Left) {
	left := Left{Began: w.Now()}
	if len(o.Roles) > 0 || o.SessionName != "" || o.Identity != "" && o.Identity != "node" {
		return "", left
	}
	aliases, err := awsecr.ParseAliases(o.Hosts)
	if err != nil {
		return "", left
	}
	plan, ok := planFor(o, w)
	if !ok {
		return "", left
	}
	input, err := io.ReadAll(io.LimitReader(w.Stdin, credapi.MaxDocument+1))
	left.Input = input
	if err != nil {
		return "", left
	}
	request, err := credapi.ParseProviderRequest(input)
	if err != nil || request.ServiceAccountToken != "" && o.Identity == "" {
		return "", left
	}
	host := awsecr.ImageHost(request.Image)
	registry, ok := awsecr.RegistryOf(host, aliases)
	if !ok {
		return "", left
	}
	p, keep, attempt := plan.ask(registry, w)
	left.Attempt = attempt
	if p.Password == "" {
		return "", left
	}
	response := credapi.ProviderResponse{
		CacheKeyType: credapi.CacheByRegistry, CacheDuration: &keep,
		Auth: map[string]credapi.AuthConfig{host: {Username: p.Username, Password: p.Password}},
	}
	return string(response.Encode(request.APIVersion)) + "\n", left
}

// plan is where the keys come from and what is said of the endpoint.
type plan struct {
	keys     awskeys.Keys // given, unless metadata
	metadata bool
	imds     leanhttp.Origin
	settings awskeys.Settings
}

// planFor finds out where the keys come from; ok is false for all but the plain
// ways.
func planFor(o awscommand.Options, w World) (p plan, ok bool) {
	world := awskeys.World{Getenv: w.Getenv, Home: w.Home}
	if w.Getenv("AWS_CA_BUNDLE") != "" {
		return plan{}, false
	}
	if p.keys, p.settings, ok = awskeys.Static(world, o.Profile); ok {
		return p, p.keys.Check(w.Now()) == nil
	}
	if o.Profile != "" {
		return plan{}, false
	}
	if p.settings, ok = awskeys.Nothing(world, w.Environ); !ok {
		return plan{}, false
	}
	p.metadata = true
	p.imds, ok = metadataOrigin(w)
	return p, ok
}

// ask asks for the password. Where there is none, attempt is the call that gave
// none, if one was made.
func (p plan) ask(r awsecr.Registry, w World) (pass awsecr.Password, keep time.Duration, attempt *awsecr.Attempt) {
	service, region := r.Service()
	origin, ok := p.origin(service, region, r, w)
	if !ok {
		return pass, 0, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	// Where AWS is, is known before the keys are, so both are got at once.
	type dialed struct {
		conn *leanhttp.Conn
		err  error
	}
	dialing := make(chan dialed, 1)
	go func() {
		conn, err := leanhttp.Dial(ctx, origin, w.Getenv)
		dialing <- dialed{conn, err}
	}()
	keys := p.keys
	if p.metadata {
		keys, ok = instanceKeys(ctx, p.imds, w.Getenv)
	}
	if !ok {
		cancel()
	}
	d := <-dialing
	if d.err != nil {
		return pass, 0, nil
	}
	defer d.conn.Close()
	if !ok {
		return pass, 0, nil
	}
	signed := awsecr.NewRequest(service, region, origin.Authority(), keys, w.Now())
	resp, sent, err := d.conn.Do(ctx, leanhttp.Request{Method: "POST", Path: "/", Headers: signed.Headers, Body: awsecr.Body, MaxBody: awsecr.MaxAnswer})
	switch {
	case !sent, resp.Status == 307, resp.Status == 308: // which the SDK follows
		return pass, 0, nil
	case err == nil && resp.Status == 200:
		if pass, err := awsecr.ReadAnswer(resp.Body); err == nil {
			return pass, pass.Keep(w.Now().Add(awsecr.Offset(resp.Header.Get("Date"), w.Now()))), nil
		}
	}
	return pass, 0, &awsecr.Attempt{Keys: keys, Status: resp.Status, Header: resp.Header, Body: resp.Body, Err: err}
}

// origin is where the API is.
func (p plan) origin(s awsecr.Service, region string, r awsecr.Registry, w World) (leanhttp.Origin, bool) {
	url := s.ConfiguredEndpoint(w.Getenv)
	if url == "" {
		host, err := s.Host(region, r.FIPS || p.settings.FIPS, r.DualStack || p.settings.DualStack)
		if err != nil {
			return leanhttp.Origin{}, false
		}
		url = "https://" + host
	}
	o, err := leanhttp.ParseOrigin(url)
	return o, err == nil
}

// Package registry asks an image registry whether a login may pull an image,
// with the handshake that a container runtime does: HEAD of the manifest, the
// challenge of the answer, basic or token authentication, and HEAD again.
// Nothing is pulled.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The bounds of one request.
const (
	requestTimeout = 15 * time.Second
	maxBody        = 64 << 10
)

// Image is what is asked for.
type Image struct {
	// Host is the registry of the image's name, with its port; Path the name
	// without it; Reference a tag or a digest.
	Host, Path, Reference string
}

// Login is a user name with a password. A nil *Login is nobody.
type Login struct{ Username, Password string }

// Endpoint is where a registry, or a mirror of it, is asked.
type Endpoint struct {
	// Base is the URL to which /NAME/manifests/REFERENCE is added; it ends in /v2
	// as a rule.
	Base *url.URL
	// Mirror says that it stands for another registry, whose host is then sent as
	// the parameter ns.
	Mirror bool
	Header http.Header
	// TLS is nil for the usual checks.
	TLS *tls.Config
	// HTTPFallback allows http where the other side speaks no TLS.
	HTTPFallback bool
	// DialTimeout bounds the making of a connection, 0 for the usual time.
	DialTimeout time.Duration
}

// Answer is what became of one login at one endpoint.
type Answer struct {
	Endpoint string
	// OK says that the manifest may be pulled.
	OK bool
	// Status is the last HTTP status, 0 for none.
	Status int
	// Scheme is how the login was shown: "", "basic" or "token".
	Scheme string
	// Message says in a line what happened, with nothing secret.
	Message string
	// Digest and MediaType are those of the manifest.
	Digest, MediaType string
	// TokenLife is how long the registry's own token lasts, 0 where unknown.
	TokenLife time.Duration
}

// manifestTypes are what a runtime accepts for a manifest.
var manifestTypes = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
}

// Check asks an endpoint for the image on behalf of a login.
func Check(ctx context.Context, e Endpoint, image Image, login *Login) Answer {
	a := Answer{Endpoint: e.Base.Scheme + "://" + e.Base.Host}
	client, done := newClient(e)
	defer done()
	response, err := head(ctx, client, e, image, "")
	if err != nil && e.HTTPFallback && e.Base.Scheme == "https" && speaksPlain(err) {
		plain := *e.Base
		plain.Scheme = "http"
		e.Base = &plain
		a.Endpoint = "http://" + e.Base.Host
		response, err = head(ctx, client, e, image, "")
	}
	if err != nil {
		a.Message = reason(err)
		return a
	}
	if response.StatusCode != http.StatusUnauthorized {
		return a.judge(response, login != nil)
	}
	challenges := parseChallenges(response.Header.Values("WWW-Authenticate"))
	authorization, err := a.authorize(ctx, client, e, image, challenges, login)
	if err != nil {
		a.Status = response.StatusCode
		var status *statusError
		if errors.As(err, &status) {
			a.Status = status.code
		}
		a.Message = reason(err)
		return a
	}
	if authorization == "" {
		a.Status, a.Message = response.StatusCode, "the registry wants a login"
		return a
	}
	response, err = head(ctx, client, e, image, authorization)
	if err != nil {
		a.Message = reason(err)
		return a
	}
	return a.judge(response, true)
}

func newClient(e Endpoint) (*http.Client, func()) {
	dial := requestTimeout
	if e.DialTimeout > 0 {
		dial = min(dial, e.DialTimeout)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: e.TLS, TLSHandshakeTimeout: requestTimeout,
		DialContext:           (&net.Dialer{Timeout: dial}).DialContext,
		ResponseHeaderTimeout: requestTimeout, MaxResponseHeaderBytes: maxBody,
	}
	client := &http.Client{Transport: transport, Timeout: 2 * requestTimeout}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) >= 5 {
			return errors.New("more than 5 redirects")
		}
		if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
			return errors.New("redirected from https to " + r.URL.Scheme)
		}
		return nil
	}
	return client, transport.CloseIdleConnections
}

func head(ctx context.Context, client *http.Client, e Endpoint, image Image, authorization string) (*http.Response, error) {
	u := *e.Base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + image.Path + "/manifests/" + image.Reference
	if e.Mirror {
		u.RawQuery = url.Values{"ns": {image.Host}}.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range e.Header {
		r.Header[name] = values
	}
	r.Header["Accept"] = []string{strings.Join(append(append([]string(nil), manifestTypes...), "*/*"), ", ")}
	r.Header.Set("User-Agent", "kubecred")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)) // HEAD has none
	response.Body.Close()
	return response, nil
}

// judge says what the last answer of the registry means.
func (a Answer) judge(r *http.Response, shown bool) Answer {
	a.Status = r.StatusCode
	a.Digest, a.MediaType = r.Header.Get("Docker-Content-Digest"), r.Header.Get("Content-Type")
	switch code := r.StatusCode; {
	case code == http.StatusOK:
		a.OK, a.Message = true, "may pull"
		if a.Scheme == "" && shown {
			a.Message = "may pull; the registry asked for no login, so this one was not shown"
		}
	case code == http.StatusUnauthorized:
		a.Message = "the login is refused"
	case code == http.StatusForbidden:
		a.Message = "the login is known, or not, and may not pull this"
	case code == http.StatusNotFound:
		a.Message = "no such repository or tag, or not for this login"
	case code == http.StatusTooManyRequests:
		a.Message = "too many requests"
		if after := r.Header.Get("Retry-After"); after != "" && len(after) < 40 {
			a.Message += ", retry after " + after
		}
	case code >= 500:
		a.Message = "the registry is broken or busy"
	default:
		a.Message = "not what a registry answers"
	}
	return a
}

// speaksPlain tells whether the other side of a TLS handshake spoke http.
func speaksPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// reason is an error in a line, without the URL, which stands beside it.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		err = u.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// statusError is an answer of a token server that is no token.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s (%d)", e.message, e.code) }

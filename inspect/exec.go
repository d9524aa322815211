package inspect

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/finding"
)

func execCredential(text string, o Options) Credential {
	c := Credential{Kind: "ExecCredential"}
	e, err := credapi.ParseExecCredential([]byte(text))
	if err != nil {
		c.notAnswer("KC111", "ExecCredential", err)
		return c
	}
	c.fact("apiVersion", "apiVersion", e.APIVersion, "")
	if e.APIVersion == credapi.ExecV1Alpha1 {
		c.fact("deprecated", "", true, "")
	}
	c.moment("announcedEnd", "announced end", e.Expiration, span(e.Expiration, o.Now))
	own := time.Time{}
	if e.Token != "" {
		own = c.token(e.Token, o)
	}
	if e.ClientCertificateData != "" {
		if end := c.certificate(e, o); own.IsZero() || !end.IsZero() && end.Before(own) {
			own = end
		}
	}
	c.judgeEnd(e, own, o)
	return c
}

// notAnswer is the finding for a document that a client cannot read.
func (c *Credential) notAnswer(code, what string, err error) {
	message := err.Error()
	var field *credapi.FieldError
	f := finding.New(code, what, message)
	if errors.As(err, &field) && field.Field != "" {
		f.Evidence["field"] = field.Field
	}
	f.Fix = finding.Fix{Summary: "let the plugin print one " + what + " to stdout and everything else to stderr"}
	c.add(f)
}

// token takes the facts and findings of the token inside, and returns its end.
func (c *Credential) token(text string, o Options) time.Time {
	inner, err := Inspect(text, o)
	if err != nil {
		c.fact("token", "token", "opaque", "it tells nothing of itself")
		return time.Time{}
	}
	c.fact("token", "token", inner.Kind, "")
	c.Facts = append(c.Facts, inner.Facts...)
	c.Findings = append(c.Findings, inner.Findings...)
	for _, f := range inner.Facts {
		if f.Key == "expiresAt" {
			if s, ok := f.Value.(string); ok {
				t, _ := time.Parse(time.RFC3339, s)
				return t
			}
		}
	}
	return time.Time{}
}

// judgeEnd compares the announced end with the credential's own.
func (c *Credential) judgeEnd(e credapi.ExecCredential, own time.Time, o Options) {
	eks := strings.HasPrefix(e.Token, ekstoken.Prefix)
	switch {
	case e.Expiration.IsZero():
		f := finding.New("KC144", "ExecCredential", "no expirationTimestamp: a client keeps it until the server refuses it")
		if eks {
			f.Message = "no expirationTimestamp, and an EKS token lives 15 min: a client keeps it until the server answers 401"
		} else if !own.IsZero() {
			f.Message += "; it ends at " + finding.Moment(own)
		}
		f.Fix = finding.Fix{Summary: "upgrade the plugin, or put 'kubecred-exec client --' before it, which announces the end that stands inside"}
		c.add(f)
	case !own.IsZero() && e.Expiration.After(own.Add(time.Second)):
		f := finding.New("KC147", "ExecCredential", fmt.Sprintf("it announces %s as its end, and dies %s earlier", finding.Moment(e.Expiration), finding.Span(e.Expiration.Sub(own))))
		f.Due = own
		f.Fix = finding.Fix{Summary: "put 'kubecred-exec client --' before the plugin, which announces the earlier one"}
		c.add(f)
	case !e.Expiration.After(o.Now) && !slices.ContainsFunc(c.Findings, func(f finding.Finding) bool { return f.Severity == finding.Error }):
		f := finding.New("KC134", "ExecCredential", "its announced end was "+span(e.Expiration, o.Now))
		f.Due = e.Expiration
		f.Fix = finding.Fix{Summary: "run the plugin again; if it prints the same, its cache or this machine's clock is wrong"}
		c.add(f)
	}
}

// certificate reads the pair, and returns the end of the certificate.
func (c *Credential) certificate(e credapi.ExecCredential, o Options) time.Time {
	bad := func(code, message, fix string) time.Time {
		f := finding.New(code, "client certificate", message)
		f.Fix = finding.Fix{Summary: fix}
		c.add(f)
		return time.Time{}
	}
	block, _ := pem.Decode([]byte(e.ClientCertificateData))
	if block == nil {
		return bad("KC132", "status.clientCertificateData is no PEM", "let the plugin print the certificate as PEM, not as base64 of it")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return bad("KC132", "status.clientCertificateData holds no X.509 certificate", "ask the plugin's maker")
	}
	c.fact("certificateSubject", "certificate of", cert.Subject.CommonName, groups(cert))
	c.moment("certificateNotBefore", "", cert.NotBefore, "")
	c.moment("certificateNotAfter", "certificate ends", cert.NotAfter, span(cert.NotAfter, o.Now))
	if _, err := tls.X509KeyPair([]byte(e.ClientCertificateData), []byte(e.ClientKeyData)); err != nil {
		bad("KC133", "the key does not fit the certificate, or cannot be read", "let the plugin print the two that belong together")
	}
	switch {
	case cert.NotBefore.After(o.Now):
		bad("KC131", "the certificate is not valid yet: its time begins "+span(cert.NotBefore, o.Now)+", so a clock is wrong", "set the clock")
	case cert.NotAfter.Before(o.Now):
		bad("KC131", "the certificate expired "+span(cert.NotAfter, o.Now), "run the plugin again; if it prints the same, its cache is stale")
	}
	return cert.NotAfter
}

func groups(cert *x509.Certificate) string {
	if len(cert.Subject.Organization) == 0 {
		return ""
	}
	return "groups " + strings.Join(cert.Subject.Organization, ", ")
}

// shortCache is a cacheDuration that lets the kubelet ask for every pull.
const shortCache = time.Second

func providerResponse(text string) Credential {
	c := Credential{Kind: "CredentialProviderResponse"}
	r, err := credapi.ParseProviderResponse([]byte(text))
	if err != nil {
		c.notAnswer("KC242", "CredentialProviderResponse", err)
		return c
	}
	c.fact("apiVersion", "apiVersion", r.APIVersion, "")
	c.fact("cacheKeyType", "cacheKeyType", string(r.CacheKeyType), "")
	if r.CacheDuration == nil {
		c.fact("cacheDuration", "cacheDuration", "none", "the provider's defaultCacheDuration counts")
	} else {
		c.fact("cacheDuration", "cacheDuration", r.CacheDuration.String(), "")
	}
	var users []string
	for pattern, auth := range r.Auth {
		users = append(users, pattern+" as "+auth.Username)
	}
	slices.Sort(users)
	c.fact("auth", "credentials for", users, "")
	if len(r.Auth) == 0 {
		c.fact("empty", "credentials for", "nothing", "the kubelet takes what else there is, or pulls without a credential")
	}
	if r.CacheDuration != nil && *r.CacheDuration < shortCache && len(r.Auth) > 0 {
		f := finding.New("KC241", "CredentialProviderResponse", fmt.Sprintf("cacheDuration is %s, so that the kubelet asks again for every pull", *r.CacheDuration))
		f.Fix = finding.Fix{Summary: "upgrade the plugin, or leave cacheDuration out and set defaultCacheDuration in the config"}
		c.add(f)
	}
	return c
}

package inspect

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/finding"
)

// peerLimit is the longest token that aws-iam-authenticator takes
// (pkg/token/token.go, maxTokenLenBytes).
const peerLimit = 4096

func eksToken(text string, o Options) Credential {
	c := Credential{Kind: "EKS token"}
	t, err := ekstoken.Parse(text)
	if err != nil {
		c.badEKSToken(text, err)
		return c
	}
	endpoint := []string{}
	if t.Endpoint.FIPS {
		endpoint = append(endpoint, "FIPS")
	}
	if t.Endpoint.DualStack {
		endpoint = append(endpoint, "dual-stack")
	}
	if t.Endpoint.Global {
		endpoint = append(endpoint, "the global endpoint")
	}
	c.fact("accessKeyID", "signed by key", t.AccessKeyID, keyNote(t))
	c.fact("temporary", "session token", t.HasSessionToken, "")
	c.fact("region", "region", t.Endpoint.Region, "partition "+t.Endpoint.Partition)
	c.fact("partition", "", t.Endpoint.Partition, "")
	c.fact("host", "sent to", t.Endpoint.Host, strings.Join(endpoint, ", "))
	c.fact("clusterHeaderSigned", "cluster header", true, "x-k8s-aws-id is signed; the cluster's name itself is not in the token")
	c.fact("signedHeaders", "signed headers", t.SignedHeaders, "")
	c.moment("signedAt", "signed at", t.Date, span(t.Date, o.Now))
	c.fact("ageSeconds", "", o.Now.Sub(t.Date).Seconds(), "")
	c.moment("expiresAt", "lives until", t.ExpiresAt(), span(t.ExpiresAt(), o.Now)+"; 15 min from its signing, whatever X-Amz-Expires says")
	c.fact("lifeLeftSeconds", "", t.ExpiresAt().Sub(o.Now).Seconds(), "")
	c.fact("bytes", "size in bytes", float64(len(text)), "")

	var late *ekstoken.TimeError
	if errors.As(t.CheckTime(o.Now), &late) {
		c.lateEKSToken(t, late, o.Now)
	}
	if len(text) > peerLimit {
		f := finding.New("KC435", "EKS token", "longer than the 4096 bytes that aws-iam-authenticator takes")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "sign with credentials that have fewer session tags, or let 'kubecred authenticator serve' verify"}
		c.add(f)
	}
	return c
}

func keyNote(t ekstoken.Token) string {
	kind := "long-lived"
	if t.HasSessionToken {
		kind = "temporary"
	}
	return kind + "; 'aws sts get-access-key-info --access-key-id " + t.AccessKeyID + "' names the account"
}

func (c *Credential) lateEKSToken(t ekstoken.Token, late *ekstoken.TimeError, now time.Time) {
	f := finding.New("KC434", "EKS token", "expired "+finding.Span(late.By)+" ago: it lives 15 min from its signing")
	f.Fix = finding.Fix{Summary: "make a new one when it is used: an exec plugin, not a stored token"}
	if !late.Expired {
		f.Message = "not valid yet: it is dated " + finding.Span(late.By) + " in the future, so a clock is wrong"
		f.Fix = finding.Fix{Summary: "set the clock of the machine that signed it, or of this one"}
	}
	f.Due = t.ExpiresAt()
	f.Evidence["signedAt"] = t.Date.Format(time.RFC3339)
	f.Evidence["expiresAt"] = t.ExpiresAt().Format(time.RFC3339)
	f.Evidence["now"] = now.UTC().Format(time.RFC3339)
	c.add(f)
}

// badEKSToken names what keeps a server from asking STS, and shows as much as
// can be read.
func (c *Credential) badEKSToken(text string, err error) {
	var format *ekstoken.FormatError
	if !errors.As(err, &format) {
		return
	}
	code := "KC441"
	switch format.Reason {
	case ekstoken.BadHost:
		code = "KC436"
	case ekstoken.TooLong:
		code = "KC435"
	}
	f := finding.New(code, "EKS token", format.Detail)
	f.Fix = finding.Fix{Summary: "pass the token exactly as the plugin prints it in status.token"}
	switch format.Reason {
	case ekstoken.BadHost:
		f.Fix = finding.Fix{Summary: "make the token for a real endpoint of STS: no AWS_ENDPOINT_URL_STS while it is signed"}
	case ekstoken.TooLong:
		f.Fix = finding.Fix{Summary: "use credentials with fewer session tags"}
	case ekstoken.ClusterNotSigned:
		f.Fix = finding.Fix{Summary: "sign x-k8s-aws-id with the cluster's name, as 'kubecred-aws token --cluster-name' does"}
	}
	f.Evidence["reason"] = string(format.Reason)
	c.add(f)

	encoded := strings.TrimPrefix(strings.TrimRight(text, "="), ekstoken.Prefix)
	raw, e := base64.RawURLEncoding.DecodeString(encoded)
	if e != nil {
		return
	}
	u, e := url.Parse(string(raw))
	if e != nil || u.Host == "" {
		return
	}
	c.fact("host", "sent to", u.Host, "")
	if at, ok := ekstoken.SignedAt(ekstoken.Prefix + encoded); ok {
		c.moment("signedAt", "signed at", at, "")
	}
}

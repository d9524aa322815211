package inspect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/satoken"
)

// claims are those of a token that a person may see: all but what is secret,
// and a JWT's only secret is its signature.
type claims struct {
	Issuer     string   `json:"iss"`
	Subject    string   `json:"sub"`
	Audience   audience `json:"aud"`
	Expires    numeric  `json:"exp"`
	NotBefore  numeric  `json:"nbf"`
	IssuedAt   numeric  `json:"iat"`
	ID         string   `json:"jti"`
	LegacyName string   `json:"kubernetes.io/serviceaccount/secret.name"`
	Kubernetes *bound   `json:"kubernetes.io"`
}

// bound is what the API server writes into the tokens of service accounts
// (k8s.io/kubernetes pkg/serviceaccount/claims.go).
type bound struct {
	Namespace      string  `json:"namespace"`
	ServiceAccount ref     `json:"serviceaccount"`
	Pod            *ref    `json:"pod"`
	Secret         *ref    `json:"secret"`
	Node           *ref    `json:"node"`
	WarnAfter      numeric `json:"warnafter"`
}

type ref struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// numeric is a NumericDate of RFC 7519, which is a number of seconds.
type numeric struct {
	time.Time
	bad bool // something else, or no time that there will ever be
}

func (n *numeric) UnmarshalJSON(b []byte) error {
	var f float64
	if n.bad = json.Unmarshal(b, &f) != nil || f < 0 || f >= 1e11; !n.bad && f > 0 {
		n.Time = time.Unix(int64(f), 0).UTC()
	}
	return nil
}

// audience is a string or a list of them (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if json.Unmarshal(b, &many) == nil {
		*a = many
	}
	return nil
}

func isJWT(s string) bool {
	return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2 && !strings.ContainsAny(s, " \t\r\n")
}

func decodePart(s string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func jwt(text string, o Options) Credential {
	c := Credential{Kind: "JWT"}
	parts := strings.Split(text, ".")
	var head struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	var t claims
	if decodePart(parts[0], &head) != nil || decodePart(parts[1], &t) != nil {
		f := finding.New("KC132", "JWT", "its parts are not base64 of JSON: it was cut or changed on the way")
		f.Fix = finding.Fix{Summary: "take it whole from where it came"}
		c.add(f)
		return c
	}
	account := t.Kubernetes != nil || t.LegacyName != "" || strings.HasPrefix(t.Subject, "system:serviceaccount:")
	if account {
		c.Kind = "service account token"
	}
	c.fact("algorithm", "algorithm", head.Algorithm, "")
	c.fact("keyID", "key id", head.KeyID, "")
	c.fact("issuer", "issuer", t.Issuer, "")
	c.fact("subject", "subject", t.Subject, "")
	c.fact("audiences", "audiences", []string(t.Audience), "")
	c.bound(t)
	c.fact("jti", "token id (JTI)", t.ID, "")
	if t.ID != "" && account {
		c.fact("credentialID", "", "JTI="+t.ID, "")
	}
	c.moment("issuedAt", "issued at", t.IssuedAt.Time, span(t.IssuedAt.Time, o.Now))
	if !t.NotBefore.IsZero() && !t.NotBefore.Equal(t.IssuedAt.Time) {
		c.moment("notBefore", "valid from", t.NotBefore.Time, span(t.NotBefore.Time, o.Now))
	}
	c.life(t, o)
	if parts[2] == "" || strings.EqualFold(head.Algorithm, "none") {
		f := finding.New("KC132", c.Kind, "it is not signed, so no server takes it")
		f.Fix = finding.Fix{Summary: "take the whole token, with the part after the second dot"}
		c.add(f)
	}
	c.judgeTimes(t, account, o)
	c.judgeIssuer(t, account, o)
	return c
}

func (c *Credential) bound(t claims) {
	if t.LegacyName != "" {
		c.fact("legacySecret", "legacy secret", t.LegacyName, "such a token has no end; it dies with its secret")
	}
	k := t.Kubernetes
	if k == nil {
		return
	}
	c.fact("serviceAccount", "service account", k.Namespace+"/"+k.ServiceAccount.Name, "")
	if k.Pod != nil {
		c.fact("pod", "bound to pod", k.Namespace+"/"+k.Pod.Name, "uid "+k.Pod.UID+"; it dies with the pod")
		c.fact("podUID", "", k.Pod.UID, "")
	}
	if k.Secret != nil {
		c.fact("secret", "bound to secret", k.Namespace+"/"+k.Secret.Name, "it dies with the secret")
	}
	if k.Node != nil {
		c.fact("node", "node", k.Node.Name, "")
	}
}

// life says how long the token was meant to live and how long it does.
func (c *Credential) life(t claims, o Options) {
	k := t.Kubernetes
	if k != nil && !k.WarnAfter.IsZero() {
		c.moment("warnAfter", "warnafter", k.WarnAfter.Time, span(k.WarnAfter.Time, o.Now)+"; meant to end then, from then on its requests are marked stale")
	}
	if t.Expires.bad {
		c.fact("expiresAt", "lives until", "unknown", "exp is no number of seconds")
		return
	}
	if t.Expires.IsZero() {
		c.fact("expiresAt", "lives until", "no end", "")
		return
	}
	note := span(t.Expires.Time, o.Now)
	if !t.IssuedAt.IsZero() {
		note += "; " + finding.Span(t.Expires.Sub(t.IssuedAt.Time)) + " from its issue"
		if k != nil && !k.WarnAfter.IsZero() {
			note += ", extended from " + finding.Span(k.WarnAfter.Sub(t.IssuedAt.Time))
		}
	}
	c.moment("expiresAt", "lives until", t.Expires.Time, note)
	c.fact("lifeLeftSeconds", "", t.Expires.Sub(o.Now).Seconds(), "")
	c.fact("extended", "", k != nil && !k.WarnAfter.IsZero(), "")
}

// judgeTimes holds the token against the clock, with the leeway of the API
// server.
func (c *Credential) judgeTimes(t claims, account bool, o Options) {
	begins := t.NotBefore.Time
	if t.IssuedAt.After(begins) {
		begins = t.IssuedAt.Time
	}
	k := t.Kubernetes
	extended := k != nil && !k.WarnAfter.IsZero()
	hourly := k != nil && k.Pod != nil && !extended && !t.Expires.IsZero() && t.Expires.Sub(t.IssuedAt.Time) <= satoken.WarnAfter && t.Expires.Sub(t.IssuedAt.Time) >= time.Hour
	if t.Expires.bad || t.NotBefore.bad || t.IssuedAt.bad {
		f := finding.New("KC132", c.Kind, "exp, nbf or iat is no number of seconds since 1970, so no server takes it")
		f.Fix.Summary = "let its issuer write numbers (RFC 7519, NumericDate), not text or milliseconds"
		c.add(f)
	}
	switch {
	case begins.After(o.Now.Add(satoken.Leeway)):
		code := "KC134"
		if account {
			code = "KC312"
		}
		f := finding.New(code, c.Kind, "not valid yet: its time begins "+span(begins, o.Now)+", so the clock of its issuer ran ahead, or this one is behind")
		f.Details = []string{"nbf and iat are " + finding.Moment(begins) + "; the kubelet does not renew a token that is not old"}
		f.Fix = finding.Fix{Summary: "set the clocks right, then delete the pods that hold such tokens"}
		c.add(f)
	case !t.Expires.IsZero() && t.Expires.Add(satoken.Leeway).Before(o.Now):
		c.expired(t, account, extended, hourly, o)
	case extended && k.WarnAfter.Before(o.Now):
		f := finding.New("KC301", c.Kind, "past its warnafter: who still sends it has not read its file again")
		f.Severity = finding.Warning
		f.Details = []string{"it was extended, and is refused from " + finding.Moment(t.Expires.Add(satoken.Leeway)) + " on"}
		f.Due = t.Expires.Add(satoken.Leeway)
		f.Fix = finding.Fix{Summary: "let the client read the token file again; a restart buys as long as the extension lasts"}
		c.add(f)
	case hourly:
		f := finding.New("KC318", c.Kind, "lives one hour and is not extended: a client that reads it once is refused after that hour")
		f.Severity = finding.Info
		f.Due = t.Expires.Add(satoken.Leeway)
		f.Fix = finding.Fix{Summary: "let the client read the token file again, which the kubelet renews"}
		c.add(f)
	}
}

func (c *Credential) expired(t claims, account, extended, hourly bool, o Options) {
	code := "KC134"
	if account {
		code = "KC310"
	}
	f := finding.New(code, c.Kind, "expired "+span(t.Expires.Time, o.Now))
	f.Due = t.Expires.Add(satoken.Leeway)
	f.Fix = finding.Fix{Summary: "ask for a new one"}
	if t.Kubernetes != nil && t.Kubernetes.Pod != nil {
		f.Fix = finding.Fix{Summary: "let the client read the token file again, which the kubelet renews; until then restart the pod"}
	}
	switch {
	case extended:
		f.Details = []string{fmt.Sprintf("it was meant to live until warnafter (%s) and was extended to %s", finding.Moment(t.Kubernetes.WarnAfter.Time), finding.Moment(t.Expires.Time))}
	case hourly:
		f.Details = []string{"it lived one hour and was not extended: the cluster runs with --service-account-extend-token-expiration=false, as AKS does from 1.30 on"}
	}
	f.Evidence["expiresAt"] = t.Expires.UTC().Format(time.RFC3339)
	c.add(f)
}

// judgeIssuer holds iss and aud against what the API server accepts.
func (c *Credential) judgeIssuer(t claims, account bool, o Options) {
	if o.Issuer != "" && t.Issuer != o.Issuer {
		f := finding.New("KC314", c.Kind, fmt.Sprintf("its issuer is %q, and the API server expects %q", t.Issuer, o.Issuer))
		f.Details = []string{"a token keeps the issuer it was made with: after --service-account-issuer changed, running pods hold tokens of the old one"}
		f.Fix = finding.Fix{Summary: "keep the old issuer as a second --service-account-issuer until all tokens are renewed, or recreate the pods"}
		c.add(f)
	} else if o.Issuer == "" && account && t.LegacyName == "" && t.Issuer != "" && !isURL(t.Issuer) {
		f := finding.New("KC314", c.Kind, fmt.Sprintf("its issuer is %q, which is no URL: an API server takes it only while --service-account-issuer says the same", t.Issuer))
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "compare it with the API server's --service-account-issuer (kubectl get --raw /.well-known/openid-configuration)"}
		c.add(f)
	}
	if o.Audience != "" && !slices.Contains(t.Audience, o.Audience) {
		f := finding.New("KC314", c.Kind, fmt.Sprintf("it is for the audience %s, not for %q", quoted(t.Audience), o.Audience))
		f.Fix = finding.Fix{Summary: "ask for a token with the right audience: 'kubectl create token', or the audience of the projected volume"}
		c.add(f)
	}
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != ""
}

func quoted(list []string) string {
	if len(list) == 0 {
		return "(none)"
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}

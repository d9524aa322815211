package explain

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

var (
	jwtShape = lazyexp.New(`eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?`)
	eksShape = lazyexp.New(`k8s-aws-v1\.[A-Za-z0-9_-]{8,}`)
)

// tokens looks for tokens in a string.
func (e *evidence) tokens(s *scan, text string, w finding.Where) {
	if strings.Contains(text, "k8s-aws-v1.") {
		for _, m := range eksShape().FindAllString(text, 4) {
			e.eksToken(m, w)
		}
		if strings.Contains(text, "k8s-aws-v1.aHR") && strings.Contains(text, "=") && regexp.MustCompile(`k8s-aws-v1\.[A-Za-z0-9_-]+={1,2}`).MatchString(text) {
			e.add("ekstoken.padded", "true", w)
		}
	}
	if strings.Contains(text, "eyJ") {
		for _, m := range jwtShape().FindAllString(text, 8) {
			e.jwt(m, w)
		}
	}
}

// claims are the parts of a service account or OIDC token that a rule may ask
// for.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
	ID        string   `json:"jti"`
	Legacy    string   `json:"kubernetes.io/serviceaccount/secret.name"`
	Kube      *struct {
		Namespace string  `json:"namespace"`
		Pod       *ref    `json:"pod"`
		Secret    *ref    `json:"secret"`
		Account   *ref    `json:"serviceaccount"`
		WarnAfter float64 `json:"warnafter"`
	} `json:"kubernetes.io"`
}

type ref struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// audience is a string or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return nil // a foreign shape is no audience
	}
	*a = many
	return nil
}

func (e *evidence) jwt(token string, w finding.Where) {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		e.piece(Piece{Kind: "JWT", Where: noText(w), Summary: "cut off"})
		e.add("jwt.cut", "true", noText(w))
		return
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		e.piece(Piece{Kind: "JWT", Where: noText(w), Summary: "not readable"})
		return
	}
	e.claims(c, noText(w))
	e.inspectLater(token, noText(w))
	e.piece(Piece{Kind: "JWT", Road: e.jwtRoad(c), Where: noText(w), Summary: describe(c)})
}

func noText(w finding.Where) finding.Where {
	w.Text = ""
	return w
}

func (e *evidence) jwtRoad(c claims) finding.Road {
	if c.Kube != nil || c.Legacy != "" || strings.HasPrefix(c.Subject, "system:serviceaccount:") {
		return finding.Pod
	}
	return finding.Client
}

// describe says what kind of token it is, without repeating any of it.
func describe(c claims) string {
	switch {
	case c.Legacy != "":
		return "legacy secret token of " + c.Subject
	case c.Kube != nil && c.Kube.Pod != nil:
		return "bound token of " + strings.TrimPrefix(c.Subject, "system:serviceaccount:") + ", pod " + c.Kube.Pod.Name
	case c.Kube != nil:
		return "service account token of " + strings.TrimPrefix(c.Subject, "system:serviceaccount:")
	}
	return "OIDC token, issuer " + c.Issuer
}

func claimsOf(n *yaml.Node) claims {
	var c claims
	var v any
	if n.Decode(&v) == nil {
		if b, err := json.Marshal(v); err == nil {
			_ = json.Unmarshal(b, &c) // what does not fit stays empty
		}
	}
	return c
}

func (e *evidence) claims(c claims, w finding.Where) {
	kind := "oidc"
	switch {
	case c.Legacy != "":
		kind = "legacy"
	case c.Kube != nil && c.Kube.Pod != nil:
		kind = "bound"
	case c.Kube != nil:
		kind = "serviceaccount"
	}
	e.add("jwt", kind, w)
	e.add("jwt.iss", c.Issuer, w)
	e.add("jwt.sub", c.Subject, w)
	for _, a := range c.Audience {
		e.add("jwt.aud", a, w)
	}
	if c.Kube != nil && c.Kube.Pod != nil {
		e.add("jwt.pod", c.Kube.Pod.Name, w)
	}
	if c.Expires > 0 && c.IssuedAt > 0 {
		life := int(c.Expires - c.IssuedAt)
		e.add("jwt.life", fmt.Sprint(life), w)
		e.add("jwt.lifetime", humanSeconds(life), w)
		switch {
		case life <= 7200:
			e.add("jwt.short", humanSeconds(life), w)
		case life >= 23*3600 && life <= 25*3600:
			e.add("jwt.day", humanSeconds(life), w)
		case life > 30*24*3600:
			e.add("jwt.long", humanSeconds(life), w)
		}
	}
	if c.Expires == 0 {
		e.add("jwt.noExpiry", "true", w)
	}
	if c.Kube != nil && c.Kube.WarnAfter > 0 {
		e.add("jwt.warnafter", stamp(c.Kube.WarnAfter), w)
		e.add("jwt.extended", stamp(c.Expires), w)
	}
	if c.Expires > 0 {
		e.add("jwt.exp", stamp(c.Expires), w)
	}
	if c.IssuedAt > 0 {
		e.add("jwt.iat", stamp(c.IssuedAt), w)
	}
	e.later = append(e.later, func() {
		now := float64(e.at.Unix())
		switch {
		case c.NotBefore > now+60 || c.IssuedAt > now+60:
			e.add("jwt.future", stamp(max(c.NotBefore, c.IssuedAt)), w)
		case c.Expires > 0 && c.Expires+60 < now:
			e.add("jwt.expired", stamp(c.Expires), w)
		case c.Kube != nil && c.Kube.WarnAfter > 0 && c.Kube.WarnAfter < now:
			e.add("jwt.stale", stamp(c.Kube.WarnAfter), w)
		}
		e.issuer(c, w)
	})
}

// issuer holds the token's issuer against one that the input expects.
func (e *evidence) issuer(c claims, w finding.Where) {
	if c.Issuer == "" {
		return
	}
	for _, key := range []string{"flag.service-account-issuer", "expected.issuer", "trust.issuer"} {
		all := e.facts[key]
		if len(all) == 0 {
			continue
		}
		match := false
		for _, f := range all {
			if strings.TrimSuffix(strings.TrimPrefix(f.value, "https://"), "/") == strings.TrimSuffix(strings.TrimPrefix(c.Issuer, "https://"), "/") {
				match = true
			}
		}
		if !match {
			e.add("jwt.otherIssuer", c.Issuer, w)
			e.add("jwt.wantIssuer", all[0].value, all[0].where)
		}
	}
	want := e.facts["flag.api-audiences"]
	if len(want) == 0 {
		return
	}
	for _, a := range c.Audience {
		for _, f := range want {
			for one := range strings.SplitSeq(f.value, ",") {
				if one == a {
					return
				}
			}
		}
	}
	if len(c.Audience) > 0 {
		e.add("jwt.otherAudience", strings.Join(c.Audience, ","), w)
	}
}

func stamp(seconds float64) string {
	if seconds <= 0 || seconds > 1<<40 {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}

func humanSeconds(n int) string {
	d := time.Duration(n) * time.Second
	switch {
	case n >= 48*3600:
		return fmt.Sprintf("%d days", n/86400)
	case n >= 2*3600:
		return fmt.Sprintf("%d hours", n/3600)
	case n == 3600 || n == 3607:
		return fmt.Sprintf("1 hour (%d s)", n)
	}
	return d.String()
}

func (e *evidence) eksToken(token string, w finding.Where) {
	w = noText(w)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "k8s-aws-v1."))
	if err != nil {
		// A cut token still tells most: decode what is whole.
		cut := strings.TrimPrefix(token, "k8s-aws-v1.")
		raw, err = base64.RawURLEncoding.DecodeString(cut[:len(cut)/4*4])
		e.add("ekstoken.cut", "true", w)
	}
	u, uerr := url.Parse(string(raw))
	if err != nil || uerr != nil || u.Host == "" {
		e.piece(Piece{Kind: "EKS token", Road: finding.Client, Where: w, Summary: "not readable"})
		e.add("ekstoken", "unreadable", w)
		return
	}
	q := u.Query()
	e.add("ekstoken", u.Host, w)
	e.add("ekstoken.host", u.Host, w)
	summary := "signed for " + u.Host
	if at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date")); err == nil {
		e.add("ekstoken.date", at.Format(time.RFC3339), w)
		e.add("ekstoken.dies", at.Add(15*time.Minute).Format(time.RFC3339), w)
		summary += ", dated " + at.Format(time.RFC3339)
		e.later = append(e.later, func() {
			switch {
			case at.Add(15 * time.Minute).Before(e.at):
				e.add("ekstoken.expired", at.Add(15*time.Minute).Format(time.RFC3339), w)
			case at.After(e.at.Add(time.Minute)):
				e.add("ekstoken.future", at.Format(time.RFC3339), w)
			}
		})
	}
	if c := strings.Split(q.Get("X-Amz-Credential"), "/"); len(c) >= 3 {
		e.add("ekstoken.region", c[2], w)
	}
	if !strings.Contains(q.Get("X-Amz-SignedHeaders"), "x-k8s-aws-id") && len(q) > 3 {
		e.add("ekstoken.noClusterHeader", "true", w)
	}
	if q.Get("Action") != "" && q.Get("Action") != "GetCallerIdentity" {
		e.add("ekstoken.otherAction", q.Get("Action"), w)
	}
	e.piece(Piece{Kind: "EKS token", Road: finding.Client, Where: w, Summary: summary})
	if e.facts["ekstoken.cut"] == nil {
		e.inspectLater(token, w)
	}
}

package kubeconfig

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// soon is how long before its end a certificate or token is worth a warning.
const soon = 30 * 24 * time.Hour

// users judges the users of the file at hand.
func (c *checker) users() {
	c.names("user", "users")
	for i, u := range c.f.Users {
		who := subject("user", "users", i, u.Name)
		c.entry(who, "user", u.Name, u.Place, u.node, u.body)
		if u.body == nil || typeOf(u.body) != typeObject {
			continue
		}
		c.methods(u, who)
		c.staticToken(u, who)
		c.clientCert(u, who)
		c.provider(u, who)
	}
	c.execs()
}

// methods judges which ways of authentication a user has.
func (c *checker) methods(u User, who string) {
	basic := u.Username.Value != "" || u.Password.Value != ""
	switch {
	case basic && u.Token.Value != "":
		f := c.add("KC140", who, u.Token.Place, "a token and a password at once, which clients refuse")
		f.Details = []string{"a client says: more than one authentication method found for " + u.Name.Value + "; found [token basicAuth], only one is allowed"}
		f.Fix = finding.Fix{Summary: "take one of them away"}
	case basic:
		at := u.Username.Place
		if u.Username.Value == "" {
			at = u.Password.Place
		}
		f := c.add("KC140", who, at, "a user name and password: API servers since 1.19 take none")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "use a client certificate, a token or an exec plugin"}
	}
	if !basic && u.Token.node == nil && u.TokenFile.node == nil && u.Cert.node == nil && u.CertData.node == nil && u.Key.node == nil &&
		u.KeyData.node == nil && u.authProvider == nil && newFields(u.body).node("exec") == nil && newFields(u.body).node("auth-provider") == nil {
		f := c.add("KC122", who, u.Place, "the user has no credential, so the server takes it as system:anonymous")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "give it exec, a token or a client certificate"}
	}
	if t := u.TokenFile; t.Value != "" {
		f := c.add("KC142", who, t.Place, "tokenFile: client-go reads the file again every minute, other clients (Python's among them) read it once and go on with the old token")
		f.Severity = finding.Info
		f.Where.Text = c.text("tokenFile", t)
		f.Details = []string{"a token of a pod lives an hour by its own account and a day to a year in fact: a client that reads the tokenFile once meets 401 when it ends"}
		f.Fix = finding.Fix{Summary: "in a pod use the client's in-cluster configuration, which reads the token again"}
		if c.env.ReadFile != nil {
			if data, err := c.env.ReadFile(c.path(t.Value)); err == nil {
				c.jwt(who, t.Place, strings.TrimSpace(string(data)))
			} else if !strings.HasPrefix(t.Value, "/var/run/secrets/") {
				f := c.add("KC132", who, t.Place, "the tokenFile can't be read: %v", Cause(err))
				f.Fix = finding.Fix{Summary: "write the right path, relative to the kubeconfig or absolute"}
			}
		}
	}
}

// placeholders are what `kubectl config view` writes where secrets stand.
func placeholder(v string) bool {
	return v == "REDACTED" || v == "DATA+OMITTED" || strings.Contains(v, "DATA+OMITTED")
}

func (c *checker) omitted(who string, s Scalar, key string) bool {
	if !placeholder(s.Value) {
		return false
	}
	f := c.add("KC139", who, s.Place, "%s is a placeholder: this is the output of kubectl config view, which leaves secrets out", key)
	f.Details = []string{"a client says: illegal base64 data, or the server answers 401 Unauthorized"}
	f.Fix = finding.Fix{Summary: "write the file again on the machine that has the secret", Command: "kubectl config view --raw"}
	return true
}

func (c *checker) staticToken(u User, who string) {
	t := u.Token
	if t.Value == "" || c.omitted(who, t, "token") {
		return
	}
	v := t.Value
	switch {
	case strings.HasPrefix(strings.ToLower(v), "bearer "):
		f := c.add("KC134", who, t.Place, "the token begins with the word Bearer, which clients put before it themselves: the server answers 401 Unauthorized")
		f.Fix = finding.Fix{Summary: "take the word away"}
	case strings.ContainsAny(v, " \t\r\n"):
		f := c.add("KC134", who, t.Place, "the token holds white space, so it was copied with a line break: the server answers 401 Unauthorized")
		f.Fix = finding.Fix{Summary: "write it on one line"}
	default:
		c.jwt(who, t.Place, v)
	}
	if strings.HasPrefix(v, "k8s-aws-v1.") {
		f := c.add("KC134", who, t.Place, "an EKS token stands in the file, and it lives 15 minutes")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "let a plugin make one each time", Command: "aws eks update-kubeconfig"}
	}
}

// jwt judges the dates of a JSON Web Token (RFC 7519); the signature is not read.
func (c *checker) jwt(who string, at Place, token string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return
	}
	var claims struct {
		Exp *float64 `json:"exp"`
		Nbf *float64 `json:"nbf"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return
	}
	const farthest = 1 << 40 // seconds; beyond it a date has no meaning
	if claims.Nbf != nil && *claims.Nbf < farthest && time.Unix(int64(*claims.Nbf), 0).After(c.env.Now) {
		from := time.Unix(int64(*claims.Nbf), 0)
		f := c.add("KC134", who, at, "the token is not valid before %s", finding.Moment(from))
		f.Fix = finding.Fix{Summary: "set this machine's clock, or wait"}
	}
	if claims.Exp == nil || *claims.Exp < 0 || *claims.Exp > farthest {
		return
	}
	end := time.Unix(int64(*claims.Exp), 0)
	left := end.Sub(c.env.Now)
	switch {
	case left <= 0:
		f := c.add("KC134", who, at, "the token expired %s, %s ago: the server answers 401 Unauthorized", finding.Moment(end), finding.Span(left))
		f.Due = end.UTC()
		f.Fix = finding.Fix{Summary: "get a new one, better from an exec plugin that does so by itself"}
	case left < soon:
		f := c.add("KC134", who, at, "the token expires %s, in %s, and nothing renews it", finding.Moment(end), finding.Span(left))
		f.Severity = finding.Warning
		f.Due = end.UTC()
		f.Fix = finding.Fix{Summary: "get a new one, better from an exec plugin that does so by itself"}
	}
}

// provider finds auth providers that clients no longer have.
func (c *checker) provider(u User, who string) {
	switch name := u.AuthProvider.Value; name {
	case "gcp":
		f := c.add("KC119", who, u.AuthProvider.Place, "auth-provider gcp, which clients since 1.26 do not have")
		f.Details = []string{`a client says: no Auth Provider found for name "gcp"`}
		f.Fix = finding.Fix{Summary: "install gke-gcloud-auth-plugin first", Command: "gcloud container clusters get-credentials CLUSTER"}
	case "azure":
		f := c.add("KC119", who, u.AuthProvider.Place, "auth-provider azure, which clients since 1.26 do not have")
		f.Details = []string{`a client says: no Auth Provider found for name "azure"`}
		f.Fix = finding.Fix{Summary: "install Azure/kubelogin first", Command: "kubelogin convert-kubeconfig -l azurecli"}
	case "oidc", "":
	default:
		f := c.add("KC119", who, u.AuthProvider.Place, "auth-provider %s, which clients do not have", quoted(name))
		f.Details = []string{`a client says: no Auth Provider found for name ` + quote(name)}
		f.Fix = finding.Fix{Summary: "use the exec plugin of your cloud"}
	}
}

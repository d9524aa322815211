package ekstoken

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Token is a token's content.
type Token struct {
	// Endpoint is the STS host with its region and partition.
	Endpoint Endpoint
	// AccessKeyID is the public half of the key that signed.
	AccessKeyID string
	// Scope is the credential's: its date, region, service and terminator.
	Scope Scope
	// Date is when it was signed, Expires its X-Amz-Expires in seconds, which
	// STS does not look at.
	Date    time.Time
	Expires int
	// SignedHeaders are the headers under the signature; ClusterHeader and host
	// are always among them.
	SignedHeaders []string
	// HasSessionToken tells temporary credentials from long-lived ones.
	HasSessionToken bool
	// URL is the whole presigned URL, a secret.
	URL string
}

// Scope is the part of X-Amz-Credential after the access key id.
type Scope struct {
	Date       string // YYYYMMDD
	Region     string
	Service    string
	Terminator string
}

// String names the token without its secrets.
func (t Token) String() string {
	return "EKS token of " + t.AccessKeyID + " for " + t.Endpoint.Host + ", signed " + t.Date.Format(time.RFC3339)
}

// GoString is String, so that no format prints the URL.
func (t Token) GoString() string { return t.String() }

// ExpiresAt is when STS stops taking the token.
func (t Token) ExpiresAt() time.Time { return t.Date.Add(Life) }

// CheckTime returns a *TimeError where the token is too old at now, or dated
// more than MaxSkew ahead of it.
func (t Token) CheckTime(now time.Time) error {
	if now.After(t.ExpiresAt()) {
		return &TimeError{Expired: true, By: now.Sub(t.ExpiresAt())}
	}
	if t.Date.After(now.Add(MaxSkew)) {
		return &TimeError{By: t.Date.Sub(now)}
	}
	return nil
}

// The parameters that a token has, in lower case; no others may be there.
const (
	pAction = iota
	pVersion
	pAlgorithm
	pCredential
	pDate
	pExpires
	pSecurityToken // the only one that may be missing
	pSignature
	pSignedHeaders
	parameterCount
)

var parameters = [parameterCount]string{
	"action", "version", "x-amz-algorithm", "x-amz-credential", "x-amz-date",
	"x-amz-expires", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders",
}

// Parse reads a token and makes every check that needs neither clock nor
// network. extra are endpoints that are allowed beside AWS's table. The error is
// a [*FormatError].
func Parse(token string, extra ...Endpoint) (Token, error) {
	var t Token
	raw, err := decode(token)
	if err != nil {
		return t, err
	}
	query, err := t.readURL(raw, extra)
	if err != nil {
		return Token{}, err
	}
	if err := t.readQuery(query); err != nil {
		return Token{}, err
	}
	return t, nil
}

var strict = base64.RawURLEncoding.Strict()

func decode(token string) (string, error) {
	if len(token) > MaxLen {
		return "", formatError(TooLong, "%d bytes, more than %d", len(token), MaxLen)
	}
	encoded, ok := strings.CutPrefix(token, Prefix)
	if !ok {
		return "", formatError(NoPrefix, "it does not begin with %s", Prefix)
	}
	// The decoder would pass over line breaks.
	if strings.IndexByte(encoded, '\r') >= 0 || strings.IndexByte(encoded, '\n') >= 0 {
		return "", formatError(BadBase64, "a line break inside")
	}
	var from, to [2 << 10]byte // most tokens fit, and need no copies on the heap
	raw, err := strict.AppendDecode(to[:0], append(from[:0], encoded...))
	if err != nil {
		return "", formatError(BadBase64, "what follows the prefix is not raw URL base64 (no padding, - and _)")
	}
	return string(raw), nil
}

// plainURL takes a URL as clients write it apart, in a fraction of the time that
// net/url takes. ok is false for all else, right or wrong.
func plainURL(raw string) (host, query string, ok bool) {
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		return "", "", false
	}
	host, query, ok = strings.Cut(rest, "/?")
	for n := range len(host) {
		if c := host[n]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return "", "", false
		}
	}
	for n := range len(query) {
		if c := query[n]; c <= ' ' || c > '~' || c == '#' {
			return "", "", false
		}
	}
	return host, query, ok
}

func (t *Token) readURL(raw string, extra []Endpoint) (query string, err error) {
	if host, query, ok := plainURL(raw); ok {
		return query, t.readHost(host, raw, extra)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", formatError(BadURL, "it holds no URL") // the error would show it
	case u.Scheme != "https":
		return "", formatError(BadScheme, "its URL has the scheme %.20q, want https", u.Scheme)
	case u.User != nil:
		return "", formatError(HasUserInfo, "its URL has a user name")
	case strings.Contains(raw, "#"):
		return "", formatError(HasFragment, "its URL has a fragment")
	case u.Path != "/" || u.RawPath != "" || u.Opaque != "":
		return "", formatError(BadPath, "its URL has another path than /")
	}
	return u.RawQuery, t.readHost(u.Host, raw, extra)
}

func (t *Token) readHost(host, raw string, extra []Endpoint) error {
	known := false
	for _, e := range extra {
		if e.Host == host && e.Host != "" {
			t.Endpoint, known = e, true
		}
	}
	if !known {
		if t.Endpoint, known = LookupHost(host); !known {
			return formatError(BadHost, "its URL's host %.80q is no known endpoint of STS", host)
		}
	}
	t.URL = raw
	return nil
}

// splitQuery finds the parameters: each of those above once, whatever the case
// of its name, and nothing else.
func splitQuery(raw string) (values [parameterCount]string, err error) {
	var seen [parameterCount]int
	var unknown []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := unescape(name)
		value, err2 := unescape(value)
		if err1 != nil || err2 != nil || strings.Contains(pair, ";") {
			return values, formatError(BadQuery, "its URL has a malformed query")
		}
		n := slices.IndexFunc(parameters[:], func(known string) bool { return is(name, known) })
		if n < 0 {
			unknown = append(unknown, name)
			continue
		}
		seen[n]++
		values[n] = value
	}
	if unknown != nil {
		return values, formatError(UnknownParameter, "its URL has the parameter %.40q, which no token has", unknown[0])
	}
	for n, times := range seen {
		if times > 1 {
			return values, formatError(DuplicateParameter, "its URL has the parameter %s %d times", parameters[n], times)
		}
	}
	return values, nil
}

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// is tells whether a name is, in whatever case, the known one in lower case.
func is(name, known string) bool {
	if len(name) != len(known) {
		return false
	}
	for n := range len(name) {
		c := name[n]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != known[n] {
			return false
		}
	}
	return true
}

func (t *Token) readQuery(raw string) error {
	q, err := splitQuery(raw)
	if err != nil {
		return err
	}
	for n, value := range q {
		if value == "" && n != pSecurityToken {
			return formatError(MissingParameter, "its URL has no parameter %s", parameters[n])
		}
	}
	switch {
	case q[pAction] != "GetCallerIdentity":
		return formatError(BadAction, "its action is %.40q, want GetCallerIdentity", q[pAction])
	case q[pVersion] != apiVersion:
		return formatError(BadVersion, "its API version is %.20q, want %s", q[pVersion], apiVersion)
	case q[pAlgorithm] != algorithm:
		return formatError(BadAlgorithm, "its algorithm is %.40q, want %s", q[pAlgorithm], algorithm)
	case len(q[pSignature]) != 64 || strings.Trim(q[pSignature], "0123456789abcdef") != "":
		return formatError(BadSignature, "its signature is not 64 hexadecimal digits")
	}
	t.SignedHeaders = strings.Split(q[pSignedHeaders], ";")
	for _, want := range []string{ClusterHeader, "host"} {
		if !slices.Contains(t.SignedHeaders, want) {
			return formatError(ClusterNotSigned, "its signature does not cover the header %s", want)
		}
	}
	n, err := strconv.Atoi(q[pExpires])
	if err != nil || strings.Trim(q[pExpires], "0123456789") != "" || n > int(Life/time.Second) {
		return formatError(BadExpires, "its X-Amz-Expires is %.20q, want 0 to 900", q[pExpires])
	}
	t.Expires = n
	if t.Date, err = time.Parse(dateFormat, q[pDate]); err != nil || len(q[pDate]) != len(dateFormat) {
		return formatError(BadDate, "its X-Amz-Date is %.20q, want one such as 20261122T041300Z", q[pDate])
	}
	t.HasSessionToken = q[pSecurityToken] != ""
	return t.readCredential(q[pCredential], q[pDate])
}

func (t *Token) readCredential(credential, date string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return formatError(BadScope, "its X-Amz-Credential has %d parts, want key/date/region/sts/aws4_request", len(parts))
	}
	t.AccessKeyID = parts[0]
	t.Scope = Scope{Date: parts[1], Region: parts[2], Service: parts[3], Terminator: parts[4]}
	bad := func(r rune) bool {
		return !(r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	switch {
	case t.AccessKeyID == "" || len(t.AccessKeyID) > 128 || strings.ContainsFunc(t.AccessKeyID, bad):
		return formatError(BadScope, "its X-Amz-Credential has no access key id")
	case t.Scope.Date != date[:8]:
		return formatError(BadScope, "its credential is scoped to the day %.10q, and its X-Amz-Date to %s", t.Scope.Date, date[:8])
	case t.Scope.Region != t.Endpoint.Region:
		return formatError(BadScope, "its credential is scoped to the region %.40q, and %s wants %s", t.Scope.Region, t.Endpoint.Host, t.Endpoint.Region)
	case t.Scope.Service != service:
		return formatError(BadScope, "its credential is scoped to the service %.20q, want %s", t.Scope.Service, service)
	case t.Scope.Terminator != terminator:
		return formatError(BadScope, "its credential's scope ends in %.20q, want %s", t.Scope.Terminator, terminator)
	}
	return nil
}

package awsfake

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// signature is what a request says of its own signing.
type signature struct {
	accessKeyID                   string
	date, region, service         string // of the scope
	time                          time.Time
	signedHeaders                 []string
	signature                     string
	presigned                     bool
	sessionToken                  string
	rawTime, rawScope, authSchema string
	query                         url.Values
}

const amzDate = "20060102T150405Z"

// readSignature finds the signature in the Authorization header or in the query.
func readSignature(r *http.Request) (signature, bool) {
	q := r.URL.Query()
	sig := signature{query: q}
	if q.Get("X-Amz-Signature") != "" {
		sig.presigned = true
		sig.authSchema = q.Get("X-Amz-Algorithm")
		sig.signature = q.Get("X-Amz-Signature")
		sig.rawTime = q.Get("X-Amz-Date")
		sig.sessionToken = q.Get("X-Amz-Security-Token")
		sig.signedHeaders = strings.Split(q.Get("X-Amz-SignedHeaders"), ";")
		return sig, sig.scope(q.Get("X-Amz-Credential"))
	}
	schema, rest, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok {
		return sig, false
	}
	sig.authSchema = schema
	sig.rawTime = r.Header.Get("X-Amz-Date")
	sig.sessionToken = r.Header.Get("X-Amz-Security-Token")
	credential := ""
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			sig.signedHeaders = strings.Split(value, ";")
		case "Signature":
			sig.signature = value
		}
	}
	return sig, sig.scope(credential)
}

func (sig *signature) scope(credential string) bool {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" || sig.authSchema != "AWS4-HMAC-SHA256" {
		return false
	}
	sig.accessKeyID, sig.date, sig.region, sig.service = parts[0], parts[1], parts[2], parts[3]
	sig.rawScope = strings.Join(parts[1:], "/")
	var err error
	sig.time, err = time.Parse(amzDate, sig.rawTime)
	return err == nil && sig.date == sig.rawTime[:8]
}

// verify checks the signature against the key's secret, as AWS documents
// Signature Version 4. The error is what AWS would answer.
func (s *Server) verify(r *http.Request, body []byte, sig signature) (Key, *awsError) {
	key, ok := s.key(sig.accessKeyID)
	if !ok {
		return key, &awsError{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	now := s.now()
	if !key.Expires.IsZero() && now.After(key.Expires) {
		return key, &awsError{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"}
	}
	if subtle.ConstantTimeCompare([]byte(key.SessionToken), []byte(sig.sessionToken)) != 1 {
		return key, &awsError{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	const skew = 5 * time.Minute
	life := skew
	if sig.presigned {
		life = 15 * time.Minute
	}
	switch {
	case now.Sub(sig.time) > life:
		return key, &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired: " + sig.rawTime + " is now earlier than " + now.UTC().Add(-life).Format(amzDate)}
	case sig.time.Sub(now) > skew:
		return key, &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "Signature not yet current: " + sig.rawTime + " is still later than " + now.UTC().Add(skew).Format(amzDate)}
	}
	if !slices.Contains(sig.signedHeaders, "host") {
		return key, &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "'Host' must be a 'SignedHeader' in the AWS Authorization."}
	}
	want := s.sign(r, body, sig, key.SecretAccessKey)
	if subtle.ConstantTimeCompare([]byte(want), []byte(sig.signature)) != 1 {
		return key, &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	}
	return key, nil
}

func (s *Server) sign(r *http.Request, body []byte, sig signature, secret string) string {
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(sig.query), canonicalHeaders(r, sig.signedHeaders),
		strings.Join(sig.signedHeaders, ";"), hash(body),
	}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", sig.rawTime, sig.rawScope, hash([]byte(canonical))}, "\n")
	return hex.EncodeToString(mac(s.signingKey(secret, sig.rawScope), toSign))
}

// signingKey derives the key of a day, a region and a service, and keeps it.
func (s *Server) signingKey(secret, scope string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := secret + " " + scope
	if key, ok := s.derived[name]; ok {
		return key
	}
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if len(s.derived) > 10000 {
		clear(s.derived)
	}
	s.derived[name] = key
	return key
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalPath is the path as sent with each segment escaped once more, which
// all services but S3 want.
func canonicalPath(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		return "/"
	}
	segments := strings.Split(p, "/")
	for i := range segments {
		segments[i] = uriEscape(segments[i])
	}
	return strings.Join(segments, "/")
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, uriEscape(name)+"="+uriEscape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
			if value == "" && r.ContentLength >= 0 {
				value = itoa(r.ContentLength)
			}
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return b.String()
}

// uriEscape leaves the unreserved characters of RFC 3986 and escapes the rest.
func uriEscape(s string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

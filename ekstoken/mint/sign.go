package mint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Credentials are AWS credentials. SessionToken is empty for long-lived ones.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
}

// Request says for which cluster, where and when a token is signed.
type Request struct {
	// ClusterID is the cluster's name, on Outposts its id.
	ClusterID string
	Endpoint  Endpoint
	// Time is the moment of signing.
	Time time.Time
	// Expires is X-Amz-Expires in seconds; 0 stands for the 60 that all clients
	// use. STS does not look at it, old servers do.
	Expires int
}

// Sign returns a token. It is deterministic: the same input gives the same
// token. The payload hash in the signature is that of the empty string, as for
// every presigned GetCallerIdentity.
func Sign(c Credentials, r Request) (string, error) {
	switch {
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return "", errors.New("ekstoken: no access key id or no secret access key to sign with")
	case r.ClusterID == "" || strings.ContainsFunc(r.ClusterID, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", errors.New("ekstoken: a cluster name is wanted, without spaces and in ASCII")
	case r.Endpoint.Host == "":
		return "", errors.New("ekstoken: no STS endpoint to sign for")
	case r.Expires < 0 || r.Expires > int(Life/time.Second):
		return "", errors.New("ekstoken: X-Amz-Expires must be between 0 and 900 seconds")
	}
	expires := r.Expires
	if expires == 0 {
		expires = 60
	}
	date := r.Time.UTC().Format(DateFormat)
	scope := date[:8] + "/" + r.Endpoint.Region + "/" + Service + "/" + Terminator

	// In the order of the names, as the signature wants them.
	query := "Action=GetCallerIdentity&Version=" + APIVersion +
		"&X-Amz-Algorithm=" + Algorithm +
		"&X-Amz-Credential=" + escape(c.AccessKeyID+"/"+scope) +
		"&X-Amz-Date=" + date +
		"&X-Amz-Expires=" + strconv.Itoa(expires)
	if c.SessionToken != "" {
		query += "&X-Amz-Security-Token=" + escape(c.SessionToken)
	}
	query += "&X-Amz-SignedHeaders=host%3B" + ClusterHeader

	canonical := "GET\n/\n" + query + "\nhost:" + r.Endpoint.Host + "\n" + ClusterHeader + ":" + r.ClusterID +
		"\n\nhost;" + ClusterHeader + "\n" + hexHash("")
	url := "https://" + r.Endpoint.Host + "/?" + query + "&X-Amz-Signature=" + Signature(c.SecretAccessKey, date, r.Endpoint.Region, Service, canonical)
	token := Prefix + base64.RawURLEncoding.EncodeToString([]byte(url))
	if len(token) > MaxLen {
		return "", errors.New("ekstoken: the session token is too long for a token of 16 KiB")
	}
	return token, nil
}

// Signature signs a canonical request (AWS General Reference, Signature Version 4),
// in hexadecimal. date is that of X-Amz-Date, such as 20261122T041300Z.
func Signature(secret, date, region, service, canonical string) string {
	key := mac([]byte("AWS4"+secret), date[:8])
	for _, part := range []string{region, service, Terminator} {
		key = mac(key, part)
	}
	scope := date[:8] + "/" + region + "/" + service + "/" + Terminator
	return hex.EncodeToString(mac(key, Algorithm+"\n"+date+"\n"+scope+"\n"+hexHash(canonical)))
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func hexHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// escape writes s as SigV4 wants it in a query: every byte but the unreserved
// ones of RFC 3986 as %XX.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

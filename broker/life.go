package broker

import (
	"encoding/base64"
	"encoding/pem"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/ekstoken/age"
)

// trueExpiry is when a credential dies: the earliest of what was announced, what
// stands inside the token, and the ends of the certificates. It is zero where
// nothing tells.
func trueExpiry(c credapi.ExecCredential) time.Time {
	end := c.Expiration
	for _, t := range []time.Time{tokenExpiry(c.Token), certificateExpiry(c.ClientCertificateData)} {
		if !t.IsZero() && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	return end
}

// tokenExpiry is the end that stands in the token itself: exp of a JWT, and for
// an EKS token 14 minutes after its signing, as its clients announce.
func tokenExpiry(token string) time.Time {
	if signed, ok := age.SignedAt(token); ok {
		return signed.Add(age.AnnouncedLife)
	}
	return jwtExpiry(token)
}

// jwtExpiry reads the claim exp of a signed JWT (RFC 7519, RFC 7515).
func jwtExpiry(token string) time.Time {
	head, rest, ok := strings.Cut(token, ".")
	body, _, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || !strings.HasPrefix(head, "eyJ") {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(body, "="))
	if err != nil {
		return time.Time{}
	}
	claims, ok := object(payload)
	exp, err := strconv.ParseFloat(string(claims["exp"]), 64)
	if !ok || err != nil || exp <= 0 || exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(exp), 0).UTC()
}

// certificateExpiry is the earliest NotAfter of the certificates in the PEM text.
// A whole X.509 reader would be a third of the program, so that only the fields
// on the way to it are read (RFC 5280, section 4.1).
func certificateExpiry(text string) time.Time {
	var end time.Time
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return end
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if t, ok := notAfter(block.Bytes); ok && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
}

// ASN.1 tags of DER on the way to a certificate's validity.
const (
	tagInteger         = 0x02
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagVersion         = 0xa0 // [0] EXPLICIT
)

// notAfter walks Certificate, TBSCertificate, Validity, notAfter.
func notAfter(der []byte) (time.Time, bool) {
	cert, _, ok := element(der, tagSequence)
	if !ok {
		return time.Time{}, false
	}
	tbs, _, ok := element(cert, tagSequence)
	if !ok {
		return time.Time{}, false
	}
	if _, after, ok := element(tbs, tagVersion); ok {
		tbs = after
	}
	for _, tag := range []byte{tagInteger, tagSequence, tagSequence} { // serial, algorithm, issuer
		if _, tbs, ok = element(tbs, tag); !ok {
			return time.Time{}, false
		}
	}
	validity, _, ok := element(tbs, tagSequence)
	if !ok {
		return time.Time{}, false
	}
	for _, tag := range []byte{tagUTCTime, tagGeneralizedTime} { // notBefore
		if _, after, ok := element(validity, tag); ok {
			validity = after
			break
		}
	}
	if v, _, ok := element(validity, tagUTCTime); ok {
		t, err := time.Parse("060102150405Z", string(v))
		if err == nil && t.Year() >= 2050 { // RFC 5280: 50 to 99 are 19xx
			t = t.AddDate(-100, 0, 0)
		}
		return t, err == nil
	}
	if v, _, ok := element(validity, tagGeneralizedTime); ok {
		t, err := time.Parse("20060102150405Z", string(v))
		return t, err == nil
	}
	return time.Time{}, false
}

// element reads one element of DER with the tag, and returns its content and
// what follows it.
func element(b []byte, tag byte) (content, after []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, b, false
	}
	n, head := int(b[1]), 2
	if n >= 0x80 {
		size := n & 0x7f
		if size == 0 || size > 3 || len(b) < 2+size {
			return nil, b, false
		}
		n = 0
		for _, c := range b[2 : 2+size] {
			n = n<<8 | int(c)
		}
		head += size
	}
	if len(b)-head < n {
		return nil, b, false
	}
	return b[head : head+n], b[head+n:], true
}

// Bounds of the arithmetic of a credential's life.
const (
	maxMargin = time.Minute
	maxAhead  = 5 * time.Minute
	// unknownLife is how long a credential is kept of which nobody knows the end.
	unknownLife = time.Minute
)

// schedule says until when a credential is handed out and from when on it is
// renewed: a margin before its end, so that it lives through the request that it
// is for, and a while before that.
func schedule(created, expires time.Time) (until, renew time.Time) {
	if expires.IsZero() {
		until = created.Add(unknownLife)
		return until, until
	}
	life := expires.Sub(created)
	until = expires.Add(-min(maxMargin, life/4))
	return until, until.Add(-min(maxAhead, life/6))
}

package awsecr

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken/mint"
	"github.com/kubecred/kubecred/internal/awskeys"
)

// Request is a signed request for a password, to be posted to the path / of a
// host.
type Request struct {
	Host    string
	Headers [][2]string // beside Host and Content-Length, in order
}

// NewRequest signs a request (AWS General Reference, Signature Version 4). host is
// the name with a port that is not the scheme's own.
func NewRequest(s Service, region, host string, k awskeys.Keys, now time.Time) Request {
	date := now.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + region + "/" + s.Name + "/" + mint.Terminator
	// By name, as the signature wants them; all of them are signed.
	signed := [][2]string{
		{"content-length", "2"}, {"content-type", ContentType}, {"host", host}, {"x-amz-date", date},
	}
	if k.Session != "" {
		signed = append(signed, [2]string{"x-amz-security-token", k.Session})
	}
	signed = append(signed, [2]string{"x-amz-target", s.Target})
	var canonical, names strings.Builder
	canonical.WriteString("POST\n/\n\n")
	for i, h := range signed {
		canonical.WriteString(h[0] + ":" + h[1] + "\n")
		if i > 0 {
			names.WriteByte(';')
		}
		names.WriteString(h[0])
	}
	body := sha256.Sum256([]byte(Body))
	canonical.WriteString("\n" + names.String() + "\n" + hex.EncodeToString(body[:]))
	signature := mint.Signature(k.Secret, date, region, s.Name, canonical.String())
	r := Request{Host: host, Headers: [][2]string{
		{"Content-Type", ContentType}, {"User-Agent", UserAgent}, {"X-Amz-Date", date}, {"X-Amz-Target", s.Target},
		{"Authorization", mint.Algorithm + " Credential=" + k.AccessKeyID + "/" + scope + ", SignedHeaders=" + names.String() + ", Signature=" + signature},
	}}
	if k.Session != "" {
		r.Headers = append(r.Headers, [2]string{"X-Amz-Security-Token", k.Session})
	}
	return r
}

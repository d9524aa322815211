//go:build unix

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// sts answers GetCallerIdentity for one access key on one connection, a request
// after the other. It checks the signature of each, and does nothing else that
// takes time: what it takes is missing where the servers are measured.
type sts struct {
	secret string
	// mac is the signing key's, for the scope in it.
	mac   hash.Hash
	scope string
	// canonical is the canonical request, whose memory is used again.
	canonical []byte
	now       func() time.Time
}

var (
	identity = stsAnswer("200 OK", `{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"`+awsfake.Account+`","Arn":"`+awsfake.UserARN+
		`","UserId":"AIDAEXAMPLEALICE"},"ResponseMetadata":{"RequestId":"c6104cbe-af31-11e0-8154-cbc7ccf896c7"}}}`)
	refused = stsAnswer("403 Forbidden", `{"Error":{"Code":"SignatureDoesNotMatch","Message":"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.","Type":"Sender"},"RequestId":"c6104cbe-af31-11e0-8154-cbc7ccf896c7"}`)
)

// stsAnswer is an answer with the header that STS gives it.
func stsAnswer(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nx-amzn-RequestId: c6104cbe-af31-11e0-8154-cbc7ccf896c7\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %s\r\n\r\n%s",
		status, len(body), time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), body)
}

// serveSTS answers on a connection until it ends.
func serveSTS(c net.Conn) {
	defer c.Close()
	s := &sts{secret: awsfake.UserSecret, now: time.Now}
	in, n := make([]byte, 32<<10), 0
	for {
		end := bytes.Index(in[:n], []byte("\r\n\r\n"))
		if end < 0 {
			if n == len(in) {
				return
			}
			more, err := c.Read(in[n:])
			if err != nil {
				return
			}
			n += more
			continue
		}
		answer := identity
		if err := s.check(in[:end]); err != nil {
			answer = refused
		}
		n = copy(in, in[end+4:n])
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

var errRefused = errors.New("refused")

// check verifies the signature of a request's header, as AWS documents Signature
// Version 4. It knows presigned requests with the headers of EKS tokens only,
// and refuses everything else.
func (s *sts) check(header []byte) error {
	line, rest, _ := bytes.Cut(header, []byte("\r\n"))
	query, ok := bytes.CutPrefix(line, []byte("GET /?"))
	query, isHTTP := bytes.CutSuffix(query, []byte(" HTTP/1.1"))
	// The parameters are signed in their order, but for the signature itself.
	signed, signature, hasSignature := bytes.Cut(query, []byte("&X-Amz-Signature="))
	if !ok || !isHTTP || !hasSignature || !bytes.HasPrefix(signed, []byte("Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&")) {
		return errRefused
	}
	var host, cluster []byte
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("host")):
			host = value
		case bytes.EqualFold(name, []byte("x-k8s-aws-id")):
			cluster = value
		}
	}
	_, credential, _ := bytes.Cut(signed, []byte("&X-Amz-Credential="+awsfake.UserKey+"%2F"))
	credential, _, _ = bytes.Cut(credential, []byte("&"))
	_, date, _ := bytes.Cut(signed, []byte("&X-Amz-Date="))
	date, _, _ = bytes.Cut(date, []byte("&"))
	if err := s.in(string(credential), string(date)); err != nil {
		return err
	}
	b := append(s.canonical[:0], "GET\n/\n"...)
	b = append(append(b, signed...), "\nhost:"...)
	b = append(append(b, host...), "\nx-k8s-aws-id:"...)
	b = append(append(b, cluster...), "\n\nhost;x-k8s-aws-id\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"...)
	s.canonical = b
	sum := sha256.Sum256(b)
	b = append(b[:0], "AWS4-HMAC-SHA256\n"...)
	b = append(append(b, date...), '\n')
	b = append(append(b, s.scope...), '\n')
	b = hex.AppendEncode(b, sum[:])
	s.mac.Reset()
	s.mac.Write(b)
	want := hex.AppendEncode(b[:0], s.mac.Sum(sum[:0]))
	if !hmac.Equal(want, signature) {
		return errRefused
	}
	return nil
}

// in derives the signing key of a scope, as it stands in the query, and refuses
// a date that is not its day's or too old.
func (s *sts) in(escaped, date string) error {
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || s.now().Sub(at).Abs() > 15*time.Minute || !strings.HasPrefix(escaped, date[:8]) {
		return errRefused
	}
	scope := strings.ReplaceAll(escaped, "%2F", "/")
	if s.mac != nil && s.scope == scope {
		return nil
	}
	key := []byte("AWS4" + s.secret)
	for part := range strings.SplitSeq(scope, "/") {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	s.scope, s.mac = scope, hmac.New(sha256.New, key)
	return nil
}

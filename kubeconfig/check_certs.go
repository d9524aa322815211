package kubeconfig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// certCache parses each certificate text once: many clusters share one authority.
type certCache struct {
	byText map[string]certResult
}

type certResult struct {
	certs []*x509.Certificate
	err   error
}

func newCertCache() *certCache { return &certCache{map[string]certResult{}} }

// parse reads PEM certificates.
func (c *certCache) parse(text string) ([]*x509.Certificate, error) {
	if r, ok := c.byText[text]; ok {
		return r.certs, r.err
	}
	certs, err := parseCerts([]byte(text))
	c.byText[text] = certResult{certs, err}
	return certs, err
}

func parseCerts(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a certificate that can't be read")
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	return certs, nil
}

// blob is the content of a setting that stands in the file (…-data) or in a file
// that it names; the data wins, as in client-go.
func (c *checker) blob(who, key string, inFile, byPath Scalar) (data []byte, at Scalar, ok bool) {
	if inFile.Value != "" {
		if c.omitted(who, inFile, key+"-data") {
			return nil, inFile, false
		}
		data, err := base64.StdEncoding.DecodeString(inFile.Value)
		return data, inFile, err == nil && len(data) > 0
	}
	if byPath.Value == "" || c.env.ReadFile == nil {
		return nil, byPath, false
	}
	data, err := c.env.ReadFile(c.path(byPath.Value))
	if err != nil {
		if strings.HasPrefix(byPath.Value, "/var/run/secrets/") {
			return nil, byPath, false // a pod's own files are nowhere else
		}
		f := c.add("KC132", who, byPath.Place, "the file that %s names can't be read: %v", key, Cause(err))
		f.Details = []string{"a client says: unable to read " + strings.Replace(key, "certificate-authority", "certificate-authority", 1) + " " + byPath.Value}
		f.Fix = finding.Fix{Summary: "write the right path, relative to the kubeconfig or absolute"}
		return nil, byPath, false
	}
	return data, byPath, true
}

// authority judges a cluster's certificate authority.
func (c *checker) authority(cl Cluster, who string) {
	data, at, ok := c.blob(who, "certificate-authority", cl.CAData, cl.CA)
	if !ok {
		return
	}
	certs, err := c.certs.parse(string(data))
	if err != nil {
		f := c.add("KC132", who, at.Place, "the certificate authority holds %v", err)
		f.Details = []string{"a client says: unable to load root certificates: unable to parse bytes as PEM block"}
		f.Fix = finding.Fix{Summary: "copy it again from the cluster"}
		return
	}
	for _, cert := range certs {
		if !cert.NotAfter.Before(c.env.Now) {
			return
		}
	}
	end := certs[0].NotAfter
	f := c.add("KC131", who, at.Place, "the certificate authority expired %s, %s ago: no server can be trusted by it", finding.Moment(end), finding.Span(c.env.Now.Sub(end)))
	f.Due = end.UTC()
	f.Fix = finding.Fix{Summary: "copy the new one from the cluster"}
}

// clientCert judges a user's certificate and key.
func (c *checker) clientCert(u User, who string) {
	hasCert := u.Cert.Value != "" || u.CertData.Value != ""
	hasKey := u.Key.Value != "" || u.KeyData.Value != ""
	if hasCert && !hasKey {
		at := u.CertData
		if at.Value == "" {
			at = u.Cert
		}
		f := c.add("KC133", who, at.Place, "a client certificate without a key, which clients refuse")
		f.Details = []string{"a client says: client-key-data or client-key must be specified for " + u.Name.Value + " to use the clientCert authentication method."}
		f.Fix = finding.Fix{Summary: "add client-key-data or client-key"}
	}
	keyPEM, keyAt, keyOK := c.blob(who, "client-key", u.KeyData, u.Key)
	certPEM, at, ok := c.blob(who, "client-certificate", u.CertData, u.Cert)
	if !ok {
		return
	}
	certs, err := c.certs.parse(string(certPEM))
	if err != nil {
		f := c.add("KC132", who, at.Place, "the client certificate holds %v", err)
		f.Details = []string{"a client says: tls: failed to find any PEM data in certificate input"}
		f.Fix = finding.Fix{Summary: "copy it again"}
		return
	}
	leaf := certs[0]
	switch left := leaf.NotAfter.Sub(c.env.Now); {
	case left <= 0:
		f := c.add("KC131", who, at.Place, "the client certificate expired %s, %s ago: the server answers 401 Unauthorized", finding.Moment(leaf.NotAfter), finding.Span(left))
		f.Due = leaf.NotAfter.UTC()
		f.Fix = renewCert(leaf)
	case leaf.NotBefore.After(c.env.Now):
		f := c.add("KC131", who, at.Place, "the client certificate is not valid before %s", finding.Moment(leaf.NotBefore))
		f.Fix = finding.Fix{Summary: "set this machine's clock, or wait"}
	case left < soon:
		f := c.add("KC131", who, at.Place, "the client certificate expires %s, in %s", finding.Moment(leaf.NotAfter), finding.Span(left))
		f.Severity = finding.Warning
		f.Due = leaf.NotAfter.UTC()
		f.Fix = renewCert(leaf)
	}
	if !keyOK {
		return
	}
	public, err := publicOf(keyPEM)
	switch {
	case err != nil:
		f := c.add("KC132", who, keyAt.Place, "the client key holds %v", err)
		f.Details = []string{"a client says: tls: failed to find any PEM data in key input, or: tls: failed to parse private key"}
		f.Fix = finding.Fix{Summary: "copy it again"}
	case !samePublic(public, leaf.PublicKey):
		f := c.add("KC133", who, keyAt.Place, "the client key does not belong to the client certificate")
		f.Details = []string{"a client says: tls: private key does not match public key"}
		f.Fix = finding.Fix{Summary: "copy both again, from one place"}
	}
}

func renewCert(cert *x509.Certificate) finding.Fix {
	for _, o := range cert.Subject.Organization {
		if strings.HasPrefix(o, "kubeadm:") || o == "system:masters" {
			return finding.Fix{Summary: "on a kubeadm control plane; then copy the new admin.conf", Command: "kubeadm certs renew admin.conf"}
		}
	}
	return finding.Fix{Summary: "get a new certificate from the cluster's administrator"}
}

// publicOf returns the public half of a private key. RSA keys are read without
// the checks of crypto/x509, which take a millisecond each: the modulus tells
// enough.
func publicOf(data []byte) (crypto.PublicKey, error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("no private key in PEM form")
		}
		if block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("a key with a password, which clients can't use")
		}
		return publicOfDER(block.Bytes)
	}
}

func publicOfDER(der []byte) (crypto.PublicKey, error) {
	var outer struct {
		Version   int
		Algorithm struct {
			OID  asn1.ObjectIdentifier
			Rest asn1.RawValue `asn1:"optional"`
		}
		Key []byte
	}
	inner := der
	if _, err := asn1.Unmarshal(der, &outer); err == nil && len(outer.Key) > 0 {
		inner = outer.Key
	}
	if n, e, ok := rsaPublic(inner); ok {
		return &rsa.PublicKey{N: n, E: e}, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return &k.PublicKey, nil
	}
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s.Public(), nil
		}
	}
	return nil, errors.New("a private key that can't be read")
}

// rsaPublic reads version, modulus and public exponent of an RSAPrivateKey (RFC
// 8017, A.1.2).
func rsaPublic(der []byte) (*big.Int, int, bool) {
	var seq asn1.RawValue
	if _, err := asn1.Unmarshal(der, &seq); err != nil || seq.Tag != asn1.TagSequence {
		return nil, 0, false
	}
	var version, e int
	var n *big.Int
	rest, err := asn1.Unmarshal(seq.Bytes, &version)
	if err != nil || version > 1 {
		return nil, 0, false
	}
	if rest, err = asn1.Unmarshal(rest, &n); err != nil {
		return nil, 0, false
	}
	if rest, err = asn1.Unmarshal(rest, &e); err != nil || len(rest) == 0 {
		return nil, 0, false
	}
	return n, e, true
}

func samePublic(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *rsa.PublicKey:
		return a.Equal(b)
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case ed25519.PublicKey:
		if b, ok := b.(ed25519.PublicKey); ok {
			return bytes.Equal(a, b)
		}
	}
	return false
}

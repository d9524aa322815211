package leanhttp

import (
	"bytes"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"slices"
)

// clientConfig is how a server is spoken to and believed.
//
// The system's roots are a hundred and more, and package crypto/x509 reads and
// parses them all, from a file and then from a directory that holds the same once
// more: that takes longer than the handshake. One of them is needed. So the chain
// that the server shows is verified with those of the file that have issued
// something of it, by the same function and with the same options as package
// crypto/tls has; and where it does not verify, with all of them. As whatever the
// first pool holds is in the second one too, nothing is believed that crypto/tls
// would not believe.
func clientConfig(host string, getenv func(string) string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, NextProtos: []string{"http/1.1"}}
	if fips140.Enabled() { // crypto/tls then asks more of a chain
		return config
	}
	bundle := make(chan []byte, 1)
	go func() { bundle <- readBundle(getenv) }() // while the server is asked
	config.InsecureSkipVerify = true             // VerifyConnection does it
	config.VerifyConnection = func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		leaf := state.PeerCertificates[0] // crypto/tls has seen to it that there is one
		if options.Roots = issuers(<-bundle, state.PeerCertificates); options.Roots != nil {
			if _, err := leaf.Verify(options); err == nil {
				return nil
			}
		}
		options.Roots = nil // the system's
		_, err := leaf.Verify(options)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
	return config
}

// bundles are where a system keeps its roots in one file (crypto/x509,
// root_linux.go).
var bundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// maxBundle bounds a bundle in bytes. Real ones have 200 KB.
const maxBundle = 8 << 20

// readBundle reads the file that crypto/x509 would read, nil for none.
func readBundle(getenv func(string) string) []byte {
	names := bundles[:]
	if name := getenv("SSL_CERT_FILE"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if !info.Mode().IsRegular() || info.Size() > maxBundle {
			return nil
		}
		data, err := os.ReadFile(name)
		if err == nil {
			return data
		}
	}
	return nil
}

var pemBegin = []byte("-----BEGIN CERTIFICATE-----")

// issuers returns the certificates of a bundle whose subject has issued one of the
// chain, nil for none. Blocks that are not quite plain are passed over.
func issuers(bundle []byte, chain []*x509.Certificate) *x509.CertPool {
	var pool *x509.CertPool
	var der []byte
	for {
		start := bytes.Index(bundle, pemBegin)
		if start < 0 {
			return pool
		}
		ofLine := start == 0 || bundle[start-1] == '\n' // what is left begins with a '-'
		block := bundle[start:]
		text := block[len(pemBegin):]
		end := bytes.IndexByte(text, '-') // which is not in base64
		if end < 0 {
			return pool
		}
		bundle = text[end:]
		var subject []byte
		if subject, der = subjectOf(text[:end], der); !ofLine || subject == nil {
			continue
		}
		if !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, subject) }) {
			continue
		}
		if root := certificate(block); root != nil {
			if pool == nil {
				pool = x509.NewCertPool()
			}
			pool.AddCert(root)
		}
	}
}

// beginning is how much of a certificate is decoded at first: ten lines, which
// hold the subjects of nearly all.
const beginning = 10 * 65

// subjectOf returns the subject of a certificate in base64, as it is encoded; nil
// for what is none. It uses the buffer and returns it.
func subjectOf(text, buf []byte) (subject, _ []byte) {
	for _, part := range [][]byte{text[:min(beginning, len(text))], text} {
		der, err := base64.StdEncoding.AppendDecode(buf[:0], part) // passes over the ends of lines
		if err != nil {
			continue
		}
		buf = der
		if subject := subjectIn(der); subject != nil {
			return subject, buf
		}
	}
	return nil, buf
}

// subjectIn finds the subject in the beginning of a certificate (RFC 5280, section
// 4.1), nil where it is not there in whole.
func subjectIn(der []byte) []byte {
	const sequence, version = 0x30, 0xa0
	_, der, _, ok := element(der, sequence, false) // Certificate
	if ok {
		_, der, _, ok = element(der, sequence, false) // TBSCertificate
	}
	if ok && len(der) > 0 && der[0] == version {
		_, _, der, ok = element(der, version, true)
	}
	var whole []byte
	for _, tag := range [...]byte{0x02, sequence, sequence, sequence, sequence} { // serial number, signature, issuer, validity, subject
		if ok {
			whole, _, der, ok = element(der, tag, true)
		}
	}
	if !ok {
		return nil
	}
	return whole
}

// element reads an element of DER: whole, what is in it, and what follows. Without
// all, its end may be missing.
func element(der []byte, tag byte, all bool) (whole, content, rest []byte, ok bool) {
	if len(der) < 2 || der[0] != tag {
		return nil, nil, nil, false
	}
	head, n := 2, int(der[1])
	if n > 0x7f {
		bytesOfLength := n & 0x7f
		if bytesOfLength > 3 || len(der) < 2+bytesOfLength {
			return nil, nil, nil, false
		}
		head, n = 2+bytesOfLength, 0
		for _, b := range der[2:head] {
			n = n<<8 | int(b)
		}
	}
	if all && len(der) < head+n {
		return nil, nil, nil, false
	}
	end := min(head+n, len(der))
	return der[:end], der[head:end], der[end:], true
}

// certificate reads the block at the beginning of text as crypto/x509 reads one of
// a pool (CertPool.AppendCertsFromPEM), nil where it would pass it over.
func certificate(text []byte) *x509.Certificate {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

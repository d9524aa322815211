package leanhttp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; by itself where by is nil.
func issue(t *testing.T, by *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(template)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

func ca(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign
	}
}

const host = "api.example.com"

func leaf(change func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{host}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if change != nil {
			change(c)
		}
	}
}

func pemOf(list ...*authority) []byte {
	var out []byte
	for _, a := range list {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	return out
}

// A server is believed where, and only where, crypto/tls believes it with the
// whole bundle.
func TestBelievesWhatCryptoTLSBelieves(t *testing.T) {
	root := issue(t, nil, ca("root"))
	other := issue(t, nil, ca("other"))
	twin := issue(t, nil, ca("root")) // the name of the root, another key
	old := issue(t, nil, func(c *x509.Certificate) { ca("old")(c); c.NotAfter = time.Now().Add(-time.Minute) })
	long := issue(t, nil, func(c *x509.Certificate) {
		ca("long")(c)
		c.Subject.OrganizationalUnit = []string{string(bytes.Repeat([]byte("x"), 900))}
	})
	narrow := issue(t, nil, func(c *x509.Certificate) { ca("narrow")(c); c.PermittedDNSDomains = []string{"example.org"} })
	middle := issue(t, root, ca("middle"))
	bundle := pemOf(other, root)
	for _, tt := range []struct {
		name   string
		bundle []byte
		chain  []*authority
		ok     bool
	}{
		{"its root", bundle, []*authority{issue(t, root, leaf(nil))}, true},
		{"by way of another", bundle, []*authority{issue(t, middle, leaf(nil)), middle}, true},
		{"the one between is missing", bundle, []*authority{issue(t, middle, leaf(nil))}, false},
		{"the one between is a root", pemOf(middle), []*authority{issue(t, middle, leaf(nil))}, true},
		{"its root twice, and its twin", pemOf(twin, root, root), []*authority{issue(t, root, leaf(nil))}, true},
		{"the twin alone", pemOf(twin), []*authority{issue(t, root, leaf(nil))}, false},
		{"a long name", pemOf(other, long), []*authority{issue(t, long, leaf(nil))}, true},
		{"another's root", pemOf(other), []*authority{issue(t, root, leaf(nil))}, false},
		{"itself", bundle, []*authority{issue(t, nil, leaf(nil))}, false},
		{"its root comes along", pemOf(other), []*authority{issue(t, root, leaf(nil)), root}, false},
		{"another host", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.DNSNames = []string{"evil.com"} }))}, false},
		{"a host in the common name alone", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, host }))}, false},
		{"any host of the domain", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }))}, true},
		{"over", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))}, false},
		{"not yet", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))}, false},
		{"a root that is over", pemOf(old), []*authority{issue(t, old, leaf(nil))}, false},
		{"for clients", bundle, []*authority{issue(t, root, leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))}, false},
		{"a root for other names", pemOf(narrow), []*authority{issue(t, narrow, leaf(nil))}, false},
		{"one that is no authority", pemOf(issue(t, root, leaf(nil))), []*authority{issue(t, root, leaf(nil))}, false},
		{"words around it", append([]byte("# roots\n"), append(bundle, "end"...)...), []*authority{issue(t, root, leaf(nil))}, true},
		{"Windows' ends of lines", bytes.ReplaceAll(bundle, []byte("\n"), []byte("\r\n")), []*authority{issue(t, root, leaf(nil))}, true},
		{"taken out", bytes.ReplaceAll(bundle, []byte("-----BEGIN"), []byte("#-----BEGIN")), []*authority{issue(t, root, leaf(nil))}, false},
		{"a header", bytes.ReplaceAll(bundle, []byte("CERTIFICATE-----\nM"), []byte("CERTIFICATE-----\nA: b\n\nM")), []*authority{issue(t, root, leaf(nil))}, false},
		{"cut", bundle[:len(bundle)-100], []*authority{issue(t, root, leaf(nil))}, false},
		{"empty", nil, []*authority{issue(t, root, leaf(nil))}, false},
	} {
		file := filepath.Join(t.TempDir(), "roots.pem")
		if err := os.WriteFile(file, tt.bundle, 0o600); err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(tt.bundle)
		want := handshake(t, tt.chain, &tls.Config{ServerName: host, RootCAs: pool, MinVersion: tls.VersionTLS12})
		got := handshake(t, tt.chain, clientConfig(host, func(name string) string { return map[string]string{"SSL_CERT_FILE": file}[name] }))
		// What the first pool does not verify is verified with the system's own roots,
		// to which none of these belong; so where it is refused it is so for the same
		// reason or for that one.
		if (got == nil) != (want == nil) || (want == nil) != tt.ok {
			t.Errorf("%s: %v; crypto/tls says %v", tt.name, got, want)
		}
		if got == nil && issuers(tt.bundle, certificates(tt.chain)) == nil {
			t.Errorf("%s: it took the whole pool", tt.name)
		}
	}
}

func certificates(chain []*authority) (out []*x509.Certificate) {
	for _, a := range chain {
		out = append(out, a.cert)
	}
	return out
}

func handshake(t *testing.T, chain []*authority, config *tls.Config) error {
	t.Helper()
	c := tls.Certificate{PrivateKey: chain[0].key}
	for _, a := range chain {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	o := serve(t, func(raw net.Conn) {
		_ = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}).Handshake()
	})
	raw, err := net.Dial("tcp", o.Authority())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	return tls.Client(raw, config).HandshakeContext(t.Context())
}

// The subject is found where package crypto/x509 finds it.
func FuzzSubject(f *testing.F) {
	data, err := os.ReadFile("testdata/root.der")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, der []byte) {
		got := subjectIn(der)
		c, err := x509.ParseCertificate(der)
		if err == nil && !bytes.Equal(got, c.RawSubject) {
			t.Fatalf("%x, want %x", got, c.RawSubject)
		}
	})
}

func BenchmarkIssuers(b *testing.B) {
	data := readBundle(none)
	if data == nil {
		b.Skip("the system has no roots in one file")
	}
	c := certificate(data[bytes.LastIndex(data, pemBegin):])
	for b.Loop() {
		if issuers(data, []*x509.Certificate{c}) == nil {
			b.Fatal("the last certificate of the bundle is not found")
		}
	}
}

package authenticator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Certificates serve a certificate from files and read it again when it is
// renewed.
type Certificates struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	log               *slog.Logger
}

// LoadCertificates reads a certificate and its key.
func LoadCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	c.current.Store(&cert)
	return c, nil
}

// Get is for tls.Config.GetCertificate.
func (c *Certificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Watch reads the files again every interval until ctx ends. A pair that does
// not fit together, as in the midst of a renewal, leaves the old one in use.
func (c *Certificates) Watch(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failed := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			if err.Error() != failed {
				failed = err.Error()
				c.log.Error("certificate kept out", "file", c.certFile, "reason", failed)
			}
			continue
		}
		failed = ""
		old := c.current.Load()
		if len(old.Certificate) == len(cert.Certificate) && string(old.Certificate[0]) == string(cert.Certificate[0]) {
			continue
		}
		c.current.Store(&cert)
		attrs := []any{"file", c.certFile}
		if cert.Leaf != nil {
			attrs = append(attrs, "until", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		c.log.Info("certificate renewed", attrs...)
	}
}

// certLife is how long a self-made certificate lives. The API server trusts
// it by the file that names it, so a new one would need a restart of that.
const certLife = 10 * 365 * 24 * time.Hour

// MakeCertificate writes a self-signed certificate for the hosts, names or IP
// addresses, and its key, unless both files are there. It tells whether it
// wrote.
func MakeCertificate(certFile, keyFile string, hosts []string, now time.Time) (bool, error) {
	_, certErr := os.Stat(certFile)
	_, keyErr := os.Stat(keyFile)
	switch {
	case certErr == nil && keyErr == nil:
		return false, nil
	case certErr == nil || keyErr == nil:
		return false, fmt.Errorf("of %s and %s only one is there: remove it, or bring the other back", certFile, keyFile)
	case !errors.Is(certErr, os.ErrNotExist):
		return false, certErr
	case !errors.Is(keyErr, os.ErrNotExist):
		return false, keyErr
	}
	cert, key, err := selfSigned(hosts, now)
	if err != nil {
		return false, err
	}
	if err := WriteFile(keyFile, key, 0o600); err != nil {
		return false, err
	}
	return true, WriteFile(certFile, cert, 0o644)
}

func selfSigned(hosts []string, now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "kubecred-authenticator"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if h != "" {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// WriteFile writes a file as a whole or not at all.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

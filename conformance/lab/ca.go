//go:build unix

package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs the lab's certificates: the API server's own, and those of
// users.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	// addresses are in every certificate.
	addresses []net.IP
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubecred-lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{
		cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		addresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, nil
}

// issue returns a certificate and its key, both PEM. It serves the loopback
// addresses and proves the subject's name and groups (O) to an API server.
func (a *authority) issue(subject pkix.Name) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: a.addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// issueFiles writes a certificate and its key to pki/NAME.crt and pki/NAME.key.
func (l *Lab) issueFiles(name string, subject pkix.Name) (certFile, keyFile string, err error) {
	certPEM, keyPEM, err := l.ca.issue(subject)
	if err != nil {
		return "", "", fmt.Errorf("lab: certificate %s: %w", name, err)
	}
	certFile, keyFile = l.Path("pki", name+".crt"), l.Path("pki", name+".key")
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		return "", "", err
	}
	return certFile, keyFile, os.WriteFile(keyFile, keyPEM, 0o600)
}

func (l *Lab) makeCertificates(context.Context) error {
	var err error
	if l.ca, err = newAuthority(); err != nil {
		return fmt.Errorf("lab: certificates: %w", err)
	}
	l.CAFile = l.Path("pki", "ca.crt")
	if err := os.WriteFile(l.CAFile, l.ca.pem, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if l.opts.ServiceNet != "" {
		l.ca.addresses = append(l.ca.addresses, net.ParseIP(l.opts.ServiceNet+".1"))
	}
	if _, _, err := l.issueFiles("apiserver", pkix.Name{CommonName: "kube-apiserver"}); err != nil {
		return err
	}
	if l.signer, err = newSigner(); err != nil {
		return fmt.Errorf("lab: the service accounts' key: %w", err)
	}
	return l.signer.writeFiles(l.Path("pki"))
}

// UserCertificate returns a client certificate and key, both PEM, that the API
// server takes as that user in these groups.
func (l *Lab) UserCertificate(user string, groups ...string) (certPEM, keyPEM []byte, err error) {
	return l.ca.issue(pkix.Name{CommonName: user, Organization: groups})
}

// Kubeconfig writes a kubeconfig for this control plane whose only user is auth,
// and returns its path. The current context is "lab", in namespace "default".
func (l *Lab) Kubeconfig(name string, auth *clientcmdapi.AuthInfo) (string, error) {
	c := clientcmdapi.NewConfig()
	c.Clusters["lab"] = &clientcmdapi.Cluster{Server: l.URL, CertificateAuthorityData: l.ca.pem}
	c.AuthInfos[name] = auth
	c.Contexts["lab"] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: name, Namespace: "default"}
	c.CurrentContext = "lab"
	file := filepath.Join(l.Dir, name+".kubeconfig")
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	return file, nil
}

// UserKubeconfig is Kubeconfig for a user with a certificate.
func (l *Lab) UserKubeconfig(user string, groups ...string) (string, error) {
	certPEM, keyPEM, err := l.UserCertificate(user, groups...)
	if err != nil {
		return "", err
	}
	return l.Kubeconfig(user, &clientcmdapi.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM})
}

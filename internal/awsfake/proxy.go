package awsfake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// Proxy stands for a whole internet in which every host is the Server: a proxy
// that takes CONNECT, speaks TLS with a certificate of its own authority for
// whatever host was asked for, and hands the requests to the Server. A client
// reaches it with HTTPS_PROXY=URL and SSL_CERT_FILE holding CA.
type Proxy struct {
	URL string
	// CA is the authority's certificate in PEM.
	CA []byte

	listener net.Listener
	server   *http.Server
	serve    func(net.Conn) // nil: inner serves
	inner    *http.Server
	conns    *connListener
	ca       *x509.Certificate
	key      *ecdsa.PrivateKey

	mu    sync.Mutex
	certs map[string]*tls.Certificate
}

// StartProxy starts a proxy; closing the Server closes it.
func (s *Server) StartProxy() (*Proxy, error) { return s.StartProxyFor(nil) }

// StartProxyFor is StartProxy with another way to serve HTTP on the connections
// that were asked for, one call for each; nil for net/http's.
func (s *Server) StartProxyFor(serve func(net.Conn)) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{URL: "http://" + l.Addr().String(), listener: l, serve: serve, certs: map[string]*tls.Certificate{}}
	if err := p.authority(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	p.conns = &connListener{addr: l.Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	p.inner = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	p.server = &http.Server{Handler: http.HandlerFunc(p.connect), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(l) }()
	go func() { _ = p.inner.Serve(p.conns) }()
	s.mu.Lock()
	s.proxies = append(s.proxies, p)
	s.mu.Unlock()
	return p, nil
}

func (p *Proxy) close() error {
	return errors.Join(p.server.Close(), p.inner.Close(), p.conns.Close())
}

func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, "want HOST:PORT", http.StatusBadRequest)
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = conn.Close()
		return
	}
	encrypted := tls.Server(conn, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.certificate(host)
		},
	})
	if p.serve != nil {
		p.serve(encrypted)
		return
	}
	p.conns.give(encrypted)
}

// authority makes the key and certificate that vouch for all hosts.
func (p *Proxy) authority() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "awsfake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	p.key = key
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return nil
}

func (p *Proxy) certificate(host string) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.certs[host]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(p.certs)) + 2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, &p.key.PublicKey, p.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: p.key}
	p.certs[host] = c
	return c, nil
}

// connListener hands connections that came by CONNECT to a server.
type connListener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *connListener) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		_ = c.Close()
	}
}

func (l *connListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *connListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *connListener) Addr() net.Addr { return l.addr }

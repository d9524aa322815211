package authenticator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// served is a Server on a free port.
type served struct {
	url    string
	client *http.Client
	roots  *x509.CertPool
	end    func() error
	dir    string
	certs  *Certificates
	closed chan struct{} // closed when nobody new is let in
	log    *messages
}

// messages are the log's, as they come.
type messages struct {
	slog.Handler
	said chan string
}

func newMessages() *messages { return &messages{slog.DiscardHandler, make(chan string, 1000)} }

func (m *messages) Enabled(context.Context, slog.Level) bool { return true }

func (m *messages) Handle(_ context.Context, r slog.Record) error {
	select {
	case m.said <- r.Message:
	default: // nobody wants so many
	}
	return nil
}

// wait waits for a message.
func (m *messages) wait(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case got := <-m.said:
			if got == want {
				return
			}
		case <-timeout:
			t.Fatalf("the log does not say %q", want)
		}
	}
}

// listener tells when it is closed.
type listener struct {
	net.Listener
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.closed) })
	return err
}

func serve(t *testing.T, h http.Handler, change func(*Server)) *served {
	t.Helper()
	s := &served{dir: t.TempDir(), roots: x509.NewCertPool(), closed: make(chan struct{}), log: newMessages()}
	cert, key := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	if made, err := MakeCertificate(cert, key, []string{"127.0.0.1"}, time.Now()); !made || err != nil {
		t.Fatal(made, err)
	}
	log := slog.New(s.log)
	var err error
	if s.certs, err = LoadCertificates(cert, key, log); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	s.roots.AppendCertsFromPEM(pem)
	l, err := Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{Handler: h, Mappings: mappingsOf(t, mapping), Certificate: s.certs.Get, Log: log}
	if change != nil {
		change(srv)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, &listener{Listener: l, closed: s.closed}) }()
	s.url = "https://" + l.Addr().String()
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}, Timeout: 10 * time.Second}
	s.end = func() error { cancel(); return <-ended }
	t.Cleanup(func() { cancel(); s.client.CloseIdleConnections() })
	return s
}

func (s *served) get(path string) (int, string, error) {
	resp, err := s.client.Get(s.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// TestIdleConnections: connections that say nothing do not keep others out.
func TestIdleConnections(t *testing.T) {
	s := serve(t, http.NotFoundHandler(), func(s *Server) { s.MaxConns = 20 })
	host := strings.TrimPrefix(s.url, "https://")
	for i := range 60 {
		var c net.Conn
		var err error
		if i%2 == 0 {
			c, err = net.Dial("tcp", host)
		} else {
			c, err = tls.Dial("tcp", host, &tls.Config{RootCAs: s.roots})
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
	}
	if code, _, err := s.get("/healthz"); err != nil || code != 200 {
		t.Errorf("%d, %v", code, err)
	}
}

// TestEndAnswers: what is under way when the server is told to end is answered.
func TestEndAnswers(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		fmt.Fprint(w, "answered")
	}), nil)
	got := make(chan error, 1)
	go func() {
		_, body, err := s.get("/authenticate")
		if err == nil && body != "answered" {
			err = errors.New(body)
		}
		got <- err
	}()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- s.end() }()
	<-s.closed
	close(release)
	if err := <-got; err != nil {
		t.Errorf("the review under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestReadiness(t *testing.T) {
	m := NewMappings([]Feed{static{"s", "- x"}}, nil, nil)
	reach := errors.New("STS is far away")
	s := serve(t, http.NotFoundHandler(), func(s *Server) {
		s.Mappings = m
		s.Reach = func(context.Context) error { return reach }
	})
	if code, body, err := s.get("/readyz"); code != 503 || !strings.Contains(body, "mappings of s: not read yet") || !strings.Contains(body, "far away") {
		t.Errorf("%d %s %v", code, body, err)
	}
	if code, _, err := s.get("/healthz"); code != 200 {
		t.Errorf("%d %v", code, err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	s := serve(t, http.NotFoundHandler(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.certs.Watch(ctx, 5*time.Millisecond)
	serial := func() string {
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	cert, key, err := selfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// Half of a renewal: the old pair stays in use.
	if err := WriteFile(filepath.Join(s.dir, "cert.pem"), cert, 0o644); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, "certificate kept out")
	if serial() != before {
		t.Error("a certificate without its key is served")
	}
	if err := WriteFile(filepath.Join(s.dir, "key.pem"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, "certificate renewed")
	if serial() == before {
		t.Error("the renewed certificate is not served")
	}
}

func TestMakeCertificateRefusesHalf(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeCertificate(cert, key, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "only one is there") {
		t.Error(err)
	}
}

func TestReadConfig(t *testing.T) {
	c, err := ReadConfig("c", []byte("clusterid: x\nSERVER:\n  Port: 1234\n  ADDRESS: 0.0.0.0\n  backendMode: [File, ConfigMap]\n  scrubbedAccounts: [111122223333]\n"))
	if err != nil || c.ClusterID != "x" || c.ListenAddress() != "0.0.0.0:1234" || fmt.Sprint(c.BackendMode) != "[MountedFile EKSConfigMap]" || c.ScrubbedAccounts[0] != "111122223333" {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"clusterID: x\n\tserver: y":                               "c: ",
		"server: {backendMode: [File, MountedFile]}":              "c: server.backendMode: MountedFile is named twice",
		"server: {dynamicfilepath: x}":                            "c: server.dynamicfilepath is set and DynamicFile is not in server.backendMode",
		"server: {dynamicBackendModePath: x}":                     "c: server.dynamicBackendModePath is not supported: list the back ends in server.backendMode",
		"server: {backendMode: DynamicFile, dynamicfilepath: ''}": "c: back end DynamicFile needs server.dynamicfilepath",
	} {
		if _, err := ReadConfig("c", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

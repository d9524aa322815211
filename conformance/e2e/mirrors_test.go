//go:build linux

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/conformance/wait"
)

// mirror is a way to a real registry by TLS, with a certificate that nobody
// trusts by itself. It writes down what it is asked.
type mirror struct {
	name, host, dir string
	server          *httptest.Server
}

// record is what mirrors were asked, each question once, in order.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.lines, line) {
		r.lines = append(r.lines, line)
	}
}

// take returns the lines, and begins anew.
func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.lines
	r.lines = nil
	return out
}

// newMirror starts a mirror. Paths below prefix are those of the registry's /v2.
func newMirror(t *testing.T, asked *record, name string, r *lab.Registry, prefix string, change func(*httptest.Server), refuse func(*http.Request) int) *mirror {
	t.Helper()
	m := &mirror{name: name, dir: t.TempDir()}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.Host})
	m.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/manifests/") {
			asked.add(name + " " + req.URL.RequestURI())
		}
		if status := refuse(req); status != 0 {
			w.WriteHeader(status)
			return
		}
		rest, ok := strings.CutPrefix(req.URL.Path, prefix)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		req.URL.Path, req.URL.RawQuery = "/v2"+rest, ""
		proxy.ServeHTTP(w, req)
	}))
	if change != nil {
		change(m.server)
	}
	m.server.StartTLS()
	t.Cleanup(m.server.Close)
	m.host = m.server.Listener.Addr().String()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.server.Certificate().Raw})
	if err := os.WriteFile(m.ca(), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mirror) ca() string { return filepath.Join(m.dir, "ca.pem") }

func never(*http.Request) int { return 0 }

// clientPair writes a certificate for clients with its key, in one file.
func clientPair(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	rawKey := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey})...)
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return must[*x509.Certificate](t)(x509.ParseCertificate(der))
}

// image try goes through a hosts.toml as a real containerd does: the same mirrors
// are asked for the same, in the same order, and the image is to be had where it
// is for containerd.
func TestMirrors(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	registry := must[*lab.Registry](t)(shared.Registry(ctx, lab.Basic))
	must[string](t)(registry.Push(ctx, "team/app:1"))
	pair := filepath.Join(t.TempDir(), "client.pem")
	pool := x509.NewCertPool()
	pool.AddCert(clientPair(t, pair))
	var asked record
	first := newMirror(t, &asked, "first", registry, "/v2", nil, never)
	below := newMirror(t, &asked, "below", registry, "/mirror/own", nil, never)
	second := newMirror(t, &asked, "second", registry, "/v2", nil, never)
	keyed := newMirror(t, &asked, "keyed", registry, "/v2", nil, func(r *http.Request) int {
		if r.Header.Get("X-Mirror-Key") != "k1" {
			return http.StatusForbidden
		}
		return 0
	})
	known := newMirror(t, &asked, "known", registry, "/v2", func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	}, never)
	broken := newMirror(t, &asked, "broken", registry, "/v2", nil, func(*http.Request) int { return http.StatusBadGateway })
	empty := newMirror(t, &asked, "empty", registry, "/nothing", nil, never)
	mirrors := []*mirror{first, below, second, keyed, known, broken, empty}
	nameOf := func(endpoint string) string {
		for _, m := range mirrors {
			if strings.HasSuffix(endpoint, "//"+m.host) {
				return m.name
			}
		}
		return ""
	}
	down := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	nobody := down.Addr().String()
	_ = down.Close()

	ctr := startContainerd(ctx, t)
	host := func(m *mirror, path, more string) string {
		return fmt.Sprintf("[host.%q]\n  ca = %q\n%s", "https://"+m.host+path, m.ca(), more)
	}
	const image = "registry.example.test/team/app:1"
	server := "server = \"http://" + registry.Host + "\"\n"
	for _, tt := range []struct {
		name, hosts string
		asked       string // the mirrors, in order
		ok          bool
	}{
		{"the first answers", server + host(first, "", "") + host(second, "", ""), "first", true},
		{"the first is down", server + fmt.Sprintf("[host.\"http://%s\"]\n", nobody) + host(second, "", ""), "second", true},
		{"the first is broken", server + host(broken, "", "") + host(second, "", ""), "broken second", true},
		{"the first has it not", server + host(empty, "", "") + host(second, "", ""), "empty second", true},
		{"the first is not trusted", server + fmt.Sprintf("[host.\"https://%s\"]\n", first.host) + host(second, "", ""), "second", true},
		{"another's certificate", server + fmt.Sprintf("[host.\"https://%s\"]\n  ca = %q\n", first.host, pair) + host(second, "", ""), "second", true},
		{"not verified, as it says", server + fmt.Sprintf("[host.\"https://%s\"]\n  skip_verify = true\n", first.host), "first", true},
		{"a path of its own", server + host(below, "/mirror/own", "  override_path = true\n"), "below", true},
		{"a path without override_path", server + host(below, "/mirror/own", "") + host(second, "", ""), "below second", true},
		{"for pulls alone, and a tag", server + host(first, "", "  capabilities = [\"pull\"]\n") + host(second, "", ""), "second", true},
		{"to resolve", server + host(first, "", "  capabilities = [\"resolve\", \"pull\"]\n"), "first", true},
		{"for pushes", server + host(first, "", "  capabilities = [\"push\"]\n"), "", true},
		{"without the header", server + host(keyed, "", "") + host(second, "", ""), "keyed second", true},
		{"with the header", server + host(keyed, "", fmt.Sprintf("  [host.%q.header]\n    X-Mirror-Key = \"k1\"\n", "https://"+keyed.host)), "keyed", true},
		{"without a client's certificate", server + host(known, "", "") + host(second, "", ""), "second", true},
		{"with a client's certificate", server + host(known, "", fmt.Sprintf("  client = [[%q, %q]]\n", pair, pair)), "known", true},
		{"all of them down", fmt.Sprintf("server = \"http://%s\"\n[host.\"http://%s\"]\n", nobody, nobody), "", false},
		{"the registry elsewhere", fmt.Sprintf("server = \"https://%s\"\nca = %q\n", first.host, first.ca()) + host(empty, "", ""), "empty first", true},
		{"no mirror", fmt.Sprintf("server = \"https://%s\"\nca = %q\n", first.host, first.ca()), "first", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "registry.example.test"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "registry.example.test", "hosts.toml"), []byte(tt.hosts), 0o600); err != nil {
				t.Fatal(err)
			}
			said, theirs := ctr(ctx, "content", "fetch", "--hosts-dir", dir, "--user", registry.Username+":"+registry.Password, image)
			want, compared := strings.Join(asked.take(), "; "), true
			if strings.Contains(said, "invalid `host` tree") {
				// A containerd before 2 passes over a hosts.toml without mirrors. What is
				// expected is then held against the document of its format alone.
				t.Logf("not compared with this containerd, which says: %s", said)
				compared = false
			}
			out, endpoints, ours := tryMirrors(t, dir, registry, image)
			// Nobody's turn comes after the login's, and may go further.
			var names []string
			for _, e := range endpoints {
				names = append(names, nameOf(e))
			}
			got := strings.Join(slices.DeleteFunc(asked.take(), func(line string) bool {
				name, _, _ := strings.Cut(line, " ")
				return !slices.Contains(names, name)
			}), "; ")
			if compared && (got != want || ours != theirs) {
				t.Errorf("pulls: %v, containerd: %v\nasked      %s\ncontainerd %s\n%s\n%s", ours, theirs, got, want, out, said)
			}
			var order []string
			for line := range strings.SplitSeq(got, "; ") {
				name, _, _ := strings.Cut(line, " ")
				order = append(order, name)
			}
			if ours != tt.ok || strings.Join(order, " ") != tt.asked {
				t.Errorf("pulls: %v, asked %s; want %v, %s", ours, order, tt.ok, tt.asked)
			}
		})
	}
}

// tryMirrors runs image try with the registry's login. endpoints are where that was
// shown.
func tryMirrors(t *testing.T, hosts string, r *lab.Registry, image string) (text string, endpoints []string, pulls bool) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "docker.json")
	config := must[[]byte](t)(json.Marshal(map[string]any{"auths": map[string]any{"registry.example.test": map[string]string{"username": r.Username, "password": r.Password}}}))
	if err := os.WriteFile(secret, config, 0o600); err != nil {
		t.Fatal(err)
	}
	out := kubecred(t, "image", "try", "--hosts-dir", hosts, "--pull-secret", secret, "-o", "json", image)
	var said struct {
		Pulls    bool
		Attempts []struct{ Answers []struct{ Endpoint string } }
	}
	if err := json.Unmarshal([]byte(out.Stdout), &said); err != nil {
		t.Fatalf("%v: %s%s", err, out.Stdout, out.Stderr)
	}
	if strings.Contains(out.Stdout+out.Stderr, r.Password) {
		t.Error("the password is shown")
	}
	for _, a := range said.Attempts[0].Answers {
		endpoints = append(endpoints, a.Endpoint)
	}
	return out.Stdout, endpoints, said.Pulls
}

// startContainerd starts one for its client alone: it keeps content and runs
// nothing. What it returns runs ctr and tells whether that went well.
func startContainerd(ctx context.Context, t *testing.T) func(context.Context, ...string) (string, bool) {
	t.Helper()
	for _, program := range []string{"containerd", "ctr"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("containerd wants to be root")
	}
	dir := t.TempDir()
	socket, file := filepath.Join(dir, "c.sock"), filepath.Join(dir, "config.toml")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, socket+".ttrpc")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	daemon := exec.Command("containerd", "--config", file)
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	})
	run := func(ctx context.Context, args ...string) (string, bool) {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", socket}, args...)...).CombinedOutput()
		return string(out), err == nil
	}
	bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := wait.Until(bounded, 100*time.Millisecond, func() bool { _, ok := run(bounded, "version"); return ok }); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return run
}

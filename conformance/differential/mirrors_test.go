//go:build unix

package differential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/registry"
)

// What conformance/containerd/hosts is asked, and answers.
type (
	hostsQuestion struct {
		Dirs         []string `json:"dirs"`
		Registry     string   `json:"registry"`
		Digest       bool     `json:"digest"`
		PlainHTTP    bool     `json:"plainHTTP"`
		Certificates []string `json:"certificates"`
	}
	hostsHost struct {
		URL        string              `json:"url"`
		Header     map[string][]string `json:"header"`
		SkipVerify bool                `json:"skipVerify"`
		Trusted    []bool              `json:"trusted"`
		Shown      int                 `json:"shown"`
		Fallback   bool                `json:"fallback"`
	}
	hostsAnswer struct {
		Hosts   []hostsHost `json:"hosts"`
		Ignored bool        `json:"ignored"`
		Error   string      `json:"error"`
	}
)

// TestHostsToml: of folders of mirrors that are made up, good and bad, the same is
// read as containerd 2 reads: who is asked, in which order, with which headers and
// certificates, and which file is passed over.
func TestHostsToml(t *testing.T) {
	r := newRand(t)
	containerd := start(t, exec.CommandContext(t.Context(), programPath(t, "hosts")))
	dir := t.TempDir()
	certificates := []string{selfSigned(t, dir, "a"), selfSigned(t, dir, "b")}
	var questions []hostsQuestion
	for i := range *filesFlag {
		roots := []string{filepath.Join(dir, fmt.Sprint(i)), filepath.Join(dir, fmt.Sprint(i, "second"))}
		q := hostsQuestion{Dirs: roots[:1+r.IntN(2)], Registry: pick(r, registries...), Digest: chance(r, 30), PlainHTTP: chance(r, 10), Certificates: certificates}
		for _, root := range q.Dirs {
			for range 1 + r.IntN(2) {
				mirrorFolder(t, r, dir, filepath.Join(root, folderOf(r, q.Registry)))
			}
		}
		questions = append(questions, q)
	}
	failures, read, ignored := 0, 0, 0
	for i, want := range ask[hostsQuestion, hostsAnswer](containerd, questions...) {
		got := ourHosts(questions[i])
		if want.Ignored {
			ignored++
		}
		if len(want.Hosts) > 1 {
			read++
		}
		if got.Ignored != want.Ignored || (got.Error == "") != (want.Error == "") || asJSON(got.Hosts) != asJSON(want.Hosts) {
			failures++
			t.Errorf("%+v\n%s\nkubecred   %s %s\ncontainerd %s %s", questions[i].Registry, filesBelow(questions[i].Dirs), asJSON(got), got.Error, asJSON(want), want.Error)
		}
		if failures == 3 {
			t.FailNow()
		}
	}
	t.Logf("%d questions: %d with mirrors, %d with a file that is passed over", len(questions), read, ignored)
	if read < len(questions)/10 || ignored < len(questions)/20 {
		t.Errorf("%d with mirrors, %d passed over: these questions show little", read, ignored)
	}
}

func ourHosts(q hostsQuestion) hostsAnswer {
	endpoints, ignored, err := registry.Endpoints(q.Registry, registry.Options{HostsDirs: q.Dirs, Digest: q.Digest, PlainHTTP: q.PlainHTTP})
	if err != nil {
		return hostsAnswer{Error: err.Error()}
	}
	a := hostsAnswer{Ignored: ignored != ""}
	for _, e := range endpoints {
		config := e.TLS
		if config == nil {
			config = &tls.Config{}
		}
		h := hostsHost{URL: e.Base.String(), Header: e.Header, SkipVerify: config.InsecureSkipVerify, Shown: len(config.Certificates), Fallback: e.HTTPFallback}
		for _, text := range q.Certificates {
			block, _ := pem.Decode([]byte(text))
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err == nil {
				_, err = certificate.Verify(x509.VerifyOptions{Roots: config.RootCAs})
			}
			h.Trusted = append(h.Trusted, err == nil)
		}
		a.Hosts = append(a.Hosts, h)
	}
	return a
}

var registries = []string{"reg.io", "reg.io:5000", "docker.io", "localhost", "localhost:5000", "127.0.0.1:80", "127.0.0.1:443", "[::1]:5000", "localhost:80"}

func folderOf(r *mathrand.Rand, registry string) string {
	name := registry
	if i := strings.LastIndex(registry, ":"); i > 0 && chance(r, 50) {
		name = registry[:i] + "_" + registry[i+1:] + "_"
	}
	return pick(r, name, name, name, "_default", "other.io")
}

// mirrorFolder writes a registry's folder: a hosts.toml, Docker's files, both or none.
func mirrorFolder(t *testing.T, r *mathrand.Rand, dir, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	copied := func(from, to string) {
		data, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copied("a.pem", "a.pem")
	if chance(r, 15) {
		copied("b.pem", "ca.crt")
	}
	if chance(r, 10) {
		copied("a.pem", "client.cert")
		if chance(r, 50) {
			copied("a.pem", "client.key")
		}
	}
	if chance(r, 85) {
		text := hostsToml(r)
		if chance(r, 5) { // a byte that is not there
			if i := r.IntN(len(text) + 1); i < len(text) {
				text = text[:i] + text[i+1:]
			}
		}
		if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func hostsToml(r *mathrand.Rand) string {
	var b strings.Builder
	if chance(r, 60) {
		fmt.Fprintf(&b, "server = %q\n", pick(r, "https://up.io", "http://up.io", "up.io", "https://up.io/", "https://up.io/v2", "https://up.io/a/../b", "http://up.io:5000", "httpd.io", "", "https://reg.io", "https://registry-1.docker.io"))
	}
	if chance(r, 20) {
		settings(&b, r, "", "")
	}
	var last string
	for range r.IntN(5) {
		last = pick(r, "https://m.io", "http://m.io", "http://m.io:80", "http://m.io:5000", "m.io", "https://m.io/v2", "https://m.io/v2/", "https://m.io/p", "https://m.io/p/", "https://m.io/", "http://127.0.0.1:5000", "https://reg.io", "ftp://m.io", "http", "", "https://[::1]:5000/x")
		switch {
		case chance(r, 5):
			fmt.Fprintf(&b, "host.%q.skip_verify = true\n", last)
		case chance(r, 5):
			fmt.Fprintf(&b, "[[host.%q]]\n", last)
		default:
			fmt.Fprintf(&b, "[host.%q]\n", last)
			if chance(r, 60) {
				settings(&b, r, "  ", last)
			}
		}
	}
	return b.String()
}

func settings(b *strings.Builder, r *mathrand.Rand, indent, host string) {
	if chance(r, 40) {
		fmt.Fprintf(b, "%scapabilities = %s\n", indent, pick(r, `["pull", "resolve"]`, `["pull"]`, `["resolve"]`, `["push"]`, `["Pull", "RESOLVE", "referrers"]`, `[]`, `["fetch"]`, `"pull"`))
	}
	if chance(r, 20) {
		fmt.Fprintf(b, "%sskip_verify = %s\n", indent, pick(r, "true", "false", `"true"`))
	}
	if chance(r, 25) {
		fmt.Fprintf(b, "%sca = %s\n", indent, pick(r, `"a.pem"`, `["a.pem", "../../b.pem"]`, `[]`, `"none.pem"`, `1`, `[1]`))
	}
	if chance(r, 20) {
		fmt.Fprintf(b, "%sclient = %s\n", indent, pick(r, `"a.pem"`, `["a.pem"]`, `[["a.pem", "a.pem"]]`, `[["a.pem", ""]]`, `[["a.pem"]]`, `"hosts.toml"`, `2`, `[]`, `["a.pem", ["a.pem", "a.pem"]]`))
	}
	if chance(r, 20) {
		fmt.Fprintf(b, "%soverride_path = %s\n", indent, pick(r, "true", "false", "1"))
	}
	if chance(r, 10) {
		fmt.Fprintf(b, "%sdial_timeout = %s\n", indent, pick(r, `"3s"`, `"3"`, `""`, "3"))
	}
	if chance(r, 5) {
		fmt.Fprintf(b, "%sunknown = 1\n", indent)
	}
	if chance(r, 20) && host != "" {
		fmt.Fprintf(b, "%s[host.%q.header]\n%s  %s\n", indent, host, indent, pick(r, `x-a = "1"`, `X-B = ["1", "2"]`, `x-c = 1`, `x-d = [1]`, ``))
	}
}

// selfSigned writes a certificate with its key, and returns the certificate.
func selfSigned(t *testing.T, dir, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, name+".pem"), append(public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), 0o600); err != nil {
		t.Fatal(err)
	}
	return string(public)
}

// filesBelow shows what was asked of.
func filesBelow(dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			fmt.Fprintf(&b, "--- %s\n", name)
			if filepath.Base(name) == "hosts.toml" {
				data, _ := os.ReadFile(name)
				b.Write(data)
			}
			return nil
		})
	}
	return b.String()
}

package kubeconfig_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/kubeconfig"
)

var now = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

// testEnv is a machine with an AWS config and the programs aws (twice), plugin
// and kubelogin.
func testEnv() kubeconfig.Env {
	programs := map[string][]string{
		"aws": {"/usr/local/bin/aws", "/usr/bin/aws"}, "plugin": {"/usr/bin/plugin"}, "kubelogin": {"/usr/bin/kubelogin"},
		"aws-iam-authenticator": {"/usr/bin/aws-iam-authenticator"}, "gke-gcloud-auth-plugin": {"/usr/bin/gke-gcloud-auth-plugin"},
	}
	return kubeconfig.Env{
		Now: now, Home: "/home/me", GOOS: "linux",
		Getenv: func(name string) string { return map[string]string{"PATH": "/usr/local/bin:/usr/bin"}[name] },
		ReadFile: func(path string) ([]byte, error) {
			if filepath.ToSlash(path) == "/home/me/.aws/config" {
				return []byte("[default]\noutput = json\n[profile texty]\noutput=text\n"), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Executables: func(command string) []string { return programs[command] },
		Flags:       func(f *kubeconfig.File) string { return " --kubeconfig " + f.Name },
	}
}

func check(t *testing.T, env kubeconfig.Env, files ...string) []finding.Finding {
	t.Helper()
	var parsed []*kubeconfig.File
	for i, text := range files {
		f, err := kubeconfig.Parse([]string{"config", "second"}[i], []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	return kubeconfig.Check(parsed, env)
}

func render(findings []finding.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s %d:%d %s: %s\n", f.Code, f.Severity, f.Where.Line, f.Where.Column, f.Subject, f.Message)
		if f.Where.Text != "" {
			fmt.Fprintf(&b, "  line: %s\n", f.Where.Text)
		}
		for _, d := range f.Details {
			fmt.Fprintf(&b, "  %s\n", d)
		}
		fmt.Fprintf(&b, "  mend: %s [%s]\n", f.Fix.Summary, f.Fix.Command)
	}
	return b.String()
}

// TestCheckVectors compares the findings for testdata/check/NAME.yaml with
// NAME.want; UPDATE_VECTORS=1 writes them anew.
func TestCheckVectors(t *testing.T) {
	names, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no vectors: ", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := render(check(t, testEnv(), string(data)))
			for _, secret := range []string{"swordfish", "eyJhbGci", "ya29", "987654", "abcdefghij", "aHR0cHM6"} {
				if strings.Contains(got, secret) {
					t.Errorf("the secret %s is shown:\n%s", secret, got)
				}
			}
			file := strings.TrimSuffix(name, ".yaml") + ".want"
			if os.Getenv("UPDATE_VECTORS") != "" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// issued makes a certificate of the given dates, and its key in two forms.
func issued(t *testing.T, from, to time.Time, rsaKey bool) (certPEM, keyPEM string) {
	t.Helper()
	var key any
	var public any
	if rsaKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
		keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to,
		Subject: pkix.Name{CommonName: "me", Organization: []string{"kubeadm:cluster-admins"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), keyPEM
}

func pkcs8(t *testing.T, keyPEM string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(keyPEM))
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func certUser(cert, key string) string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return "users:\n- name: me\n  user:\n    client-certificate-data: " + b64(cert) + "\n    client-key-data: " + b64(key) + "\n"
}

func TestCertificates(t *testing.T) {
	day := 24 * time.Hour
	good, goodKey := issued(t, now.Add(-day), now.Add(365*day), false)
	goodRSA, goodRSAKey := issued(t, now.Add(-day), now.Add(365*day), true)
	old, oldKey := issued(t, now.Add(-400*day), now.Add(-35*day), false)
	ending, endingKey := issued(t, now.Add(-day), now.Add(3*day), false)
	future, futureKey := issued(t, now.Add(2*time.Hour), now.Add(day*100), false)
	tests := []struct{ name, text, want string }{
		{"good", certUser(good, goodKey), ""},
		{"good, PKCS 8", certUser(good, pkcs8(t, goodKey)), ""},
		{"good, RSA", certUser(goodRSA, goodRSAKey), ""},
		{"good, RSA, PKCS 8", certUser(goodRSA, pkcs8(t, goodRSAKey)), ""},
		{"expired", certUser(old, oldKey), "KC131 error the client certificate expired 2026-10-18 04:13 UTC, 35 d ago: the server answers 401 Unauthorized"},
		{"ending", certUser(ending, endingKey), "KC131 warning the client certificate expires 2026-11-25 04:13 UTC, in 3 d"},
		{"not yet", certUser(future, futureKey), "KC131 error the client certificate is not valid before 2026-11-22 06:13 UTC"},
		{"foreign key", certUser(good, oldKey), "KC133 error the client key does not belong to the client certificate"},
		{"foreign RSA key", certUser(goodRSA, goodKey), "KC133 error the client key does not belong to the client certificate"},
		{"garbled", certUser("nonsense", goodKey), "KC132 error the client certificate holds no certificate in PEM form"},
		{"garbled key", certUser(good, "nonsense"), "KC132 error the client key holds no private key in PEM form"},
		{"swapped", certUser(goodKey, good), "KC132 error the client certificate holds no certificate in PEM form"},
		{"no key", strings.Split(certUser(good, goodKey), "    client-key-data")[0], "KC133 error a client certificate without a key, which clients refuse"},
		{"authority", "clusters:\n- name: c\n  cluster: {server: 'https://c', certificate-authority-data: " + base64.StdEncoding.EncodeToString([]byte(old)) + "}\n",
			"KC131 error the certificate authority expired 2026-10-18 04:13 UTC, 35 d ago: no server can be trusted by it"},
		{"both ways", "clusters:\n- name: c\n  cluster: {server: 'https://c', insecure-skip-tls-verify: true, certificate-authority-data: " + base64.StdEncoding.EncodeToString([]byte(good)) + "}\n",
			"KC136 error insecure-skip-tls-verify and a certificate authority at once, which clients refuse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range check(t, testEnv(), tt.text) {
				got = append(got, fmt.Sprintf("%s %s %s", f.Code, f.Severity, f.Message))
				if strings.Contains(f.Message, "expire") && f.Due.IsZero() {
					t.Error("no date in due")
				}
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestStaticTokens(t *testing.T) {
	token := func(claims map[string]any) string {
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(payload) + ".c2lnbmF0dXJl"
	}
	tests := []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"exp": now.Add(-time.Hour).Unix()}, "the token expired 2026-11-22 03:13 UTC, 1 h ago: the server answers 401 Unauthorized"},
		{map[string]any{"exp": now.Add(time.Hour).Unix()}, "the token expires 2026-11-22 05:13 UTC, in 1 h, and nothing renews it"},
		{map[string]any{"exp": now.Add(1000 * time.Hour).Unix()}, ""},
		{map[string]any{"nbf": now.Add(time.Hour).Unix()}, "the token is not valid before 2026-11-22 05:13 UTC"},
		{map[string]any{"exp": 1e30}, ""},
		{map[string]any{"exp": "soon"}, ""},
		{nil, ""},
	}
	for _, tt := range tests {
		text := "users:\n- name: me\n  user:\n    token: " + token(tt.claims) + "\n"
		var got []string
		for _, f := range check(t, testEnv(), text) {
			got = append(got, f.Message)
		}
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("%v: got %q, want %q", tt.claims, got, tt.want)
		}
	}
}

func TestSeveralFiles(t *testing.T) {
	one := "current-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {token: abcdefghij}\n"
	two := "clusters:\n- name: c\n  cluster: {server: 'https://c'}\nusers:\n- name: u\n  user: {token: abcdefghij}\n"
	got := render(check(t, testEnv(), one, two))
	want := "KC124 warning 5:9 user u: never used: config defines the name before it, on line 6, and the first one counts\n  mend: rename one of them []\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFileMode(t *testing.T) {
	text := "users:\n- name: u\n  user: {exec: {apiVersion: client.authentication.k8s.io/v2, command: plugin}}\n"
	for mode, want := range map[fs.FileMode]string{
		0o600: "", 0o400: "", 0o700: "",
		0o640: "info mode 0640 lets its whole group read it",
		0o644: "info mode 0644 lets everybody on this machine read it",
		0o666: "warning mode 0666 lets everybody on this machine read it",
	} {
		env := testEnv()
		env.Mode = func(string) (fs.FileMode, error) { return mode, nil }
		got := ""
		for _, f := range check(t, env, text) {
			if f.Code == "KC137" {
				got = string(f.Severity) + " " + f.Message
			}
		}
		if got != want {
			t.Errorf("%04o: %q, want %q", mode, got, want)
		}
		env.GOOS = "windows"
		for _, f := range check(t, env, text) {
			if f.Code == "KC137" {
				t.Errorf("%04o is judged on Windows", mode)
			}
		}
	}
}

package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfiles"
)

// The walk to NotAfter finds what crypto/x509 finds.
func TestCertificateExpiry(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []time.Time{
		time.Date(2026, 12, 1, 2, 3, 4, 0, time.UTC), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		for _, subject := range []pkix.Name{{CommonName: "a"}, {CommonName: "b", Organization: make([]string, 60)}} {
			for i := range subject.Organization {
				subject.Organization[i] = "system:masters"
			}
			template := &x509.Certificate{SerialNumber: new(big.Int).Lsh(big.NewInt(1), 150), Subject: subject, NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
			for _, der := range [][]byte{
				must(x509.CreateCertificate(rand.Reader, template, template, &ec.PublicKey, ec)),
				must(x509.CreateCertificate(rand.Reader, template, template, &rs.PublicKey, rs)),
			} {
				text := "a word before\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
				if got := certificateExpiry(text); !got.Equal(end) {
					t.Errorf("%s, want %s", got, end)
				}
				later := *template
				later.NotAfter = end.AddDate(0, 0, -1)
				chain := text + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(x509.CreateCertificate(rand.Reader, &later, &later, &ec.PublicKey, ec))}))
				if got := certificateExpiry(chain); !got.Equal(later.NotAfter) {
					t.Errorf("of the chain: %s, want %s", got, later.NotAfter)
				}
			}
		}
	}
}

func must(der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return der
}

func FuzzNotAfter(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
	f.Add(must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		got, ok := notAfter(der)
		if cert, err := x509.ParseCertificate(der); err == nil && (!ok || !got.Equal(cert.NotAfter)) {
			t.Fatalf("%v %v, want %v", got, ok, cert.NotAfter)
		}
	})
}

func TestTrueExpiry(t *testing.T) {
	signed := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	e, _ := ekstoken.EndpointFor("eu-west-1", false, false)
	eks, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: "A", SecretAccessKey: "s"}, ekstoken.Request{ClusterID: "c", Endpoint: e, Time: signed})
	if err != nil {
		t.Fatal(err)
	}
	jwt := func(payload string) string {
		return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		c    credapi.ExecCredential
		want time.Time
	}{
		"announced":               {credapi.ExecCredential{Token: "opaque", Expiration: day}, day},
		"nothing":                 {credapi.ExecCredential{Token: "opaque"}, time.Time{}},
		"EKS, not announced":      {credapi.ExecCredential{Token: eks}, signed.Add(14 * time.Minute)},
		"EKS, announced too late": {credapi.ExecCredential{Token: eks, Expiration: day}, signed.Add(14 * time.Minute)},
		"EKS, announced earlier":  {credapi.ExecCredential{Token: eks, Expiration: signed.Add(time.Minute)}, signed.Add(time.Minute)},
		"JWT":                     {credapi.ExecCredential{Token: jwt(`{"exp":1795320000}`)}, time.Unix(1795320000, 0).UTC()},
		"JWT without exp":         {credapi.ExecCredential{Token: jwt(`{}`), Expiration: day}, day},
		"JWT with nonsense":       {credapi.ExecCredential{Token: jwt(`{"exp":1e300}`), Expiration: day}, day},
		"looks like a JWT":        {credapi.ExecCredential{Token: "eyJ.%.x", Expiration: day}, day},
	} {
		if got := trueExpiry(tt.c); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestSchedule(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	for life, want := range map[time.Duration][2]time.Duration{
		14 * time.Minute: {13 * time.Minute, 10*time.Minute + 40*time.Second},
		time.Hour:        {59 * time.Minute, 54 * time.Minute},
		time.Minute:      {45 * time.Second, 35 * time.Second},
		12 * time.Second: {9 * time.Second, 7 * time.Second},
		-time.Minute:     {-45 * time.Second, -35 * time.Second},
	} {
		until, renew := schedule(at, at.Add(life))
		if until.Sub(at) != want[0] || renew.Sub(at) != want[1] {
			t.Errorf("%s: until %s, renew %s, want %v", life, until.Sub(at), renew.Sub(at), want)
		}
	}
}

// hashedFiles are the files that went into a digest, each as its name behind "file".
func hashedFiles(t *testing.T, d digest) (names []string) {
	t.Helper()
	var parts []string
	for len(d) > 0 {
		n := binary.BigEndian.Uint64(d)
		parts, d = append(parts, string(d[8:8+n])), d[8+n:]
	}
	for i, p := range parts {
		if p == "file" {
			names = append(names, parts[i+1])
		}
	}
	return names
}

func TestIdentityFiles(t *testing.T) {
	home := t.TempDir()
	config := home + "/config"
	if err := os.WriteFile(config, []byte("[profile a]\nsso_session = corp\n[profile b]\nweb_identity_token_file=/var/token\n# x\nlogin_session=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var id identity
	id.aws(func(name string) string { return map[string]string{"AWS_CONFIG_FILE": config}[name] }, home)
	got := hashedFiles(t, id.digest)
	want := []string{
		config, awsfiles.InHome(home, ".aws", "credentials"), "/var/token",
		awsfiles.InHome(home, ".aws", "sso", "cache", "ee0bfd2552fbd840c02cc48b6e823320543c450f.json"),
	}
	seen := map[string]bool{}
	for _, name := range got {
		seen[name] = true
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s is missing in %v", name, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}

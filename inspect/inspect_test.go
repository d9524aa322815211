package inspect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/inspect"
)

var now = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

// pair makes a client certificate and its key.
func pair(t *testing.T, from, to time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alice", Organization: []string{"devs"}}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

func TestCertificates(t *testing.T) {
	day := 24 * time.Hour
	cert, key := pair(t, now.Add(-day), now.Add(day))
	old, oldKey := pair(t, now.Add(-3*day), now.Add(-day))
	early, earlyKey := pair(t, now.Add(day), now.Add(3*day))
	for _, tt := range []struct {
		name string
		c    credapi.ExecCredential
		want string // codes
	}{
		{"good", credapi.ExecCredential{ClientCertificateData: cert, ClientKeyData: key, Expiration: now.Add(time.Hour)}, ""},
		{"no announced end", credapi.ExecCredential{ClientCertificateData: cert, ClientKeyData: key}, "KC144"},
		{"announced too late", credapi.ExecCredential{ClientCertificateData: cert, ClientKeyData: key, Expiration: now.Add(2 * day)}, "KC147"},
		{"expired", credapi.ExecCredential{ClientCertificateData: old, ClientKeyData: oldKey, Expiration: now.Add(-2 * day)}, "KC131"},
		{"not yet", credapi.ExecCredential{ClientCertificateData: early, ClientKeyData: earlyKey, Expiration: now.Add(day)}, "KC131"},
		{"another's key", credapi.ExecCredential{ClientCertificateData: cert, ClientKeyData: oldKey, Expiration: now.Add(time.Hour)}, "KC133"},
		{"base64 of PEM", credapi.ExecCredential{ClientCertificateData: base64.StdEncoding.EncodeToString([]byte(cert)), ClientKeyData: key, Expiration: now.Add(time.Hour)}, "KC132"},
		{"no certificate", credapi.ExecCredential{ClientCertificateData: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ClientKeyData: key, Expiration: now.Add(time.Hour)}, "KC132"},
		{"announced end is past", credapi.ExecCredential{Token: "opaque", Expiration: now.Add(-time.Hour)}, "KC134"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := inspect.Inspect(string(tt.c.Encode(credapi.ExecV1)), inspect.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			var codes []string
			for _, f := range c.Findings {
				codes = append(codes, f.Code)
			}
			if got := strings.Join(codes, " "); got != tt.want {
				t.Errorf("%s, want %s: %+v", got, tt.want, c.Findings)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "nothing to inspect",
		"  \n":                          "nothing to inspect",
		"{}":                            inspect.ErrUnknown.Error(),
		`{"kind":"Secret"}`:             `JSON of kind "Secret": ` + inspect.ErrUnknown.Error(),
		"ya29.x":                        "this is a Google access token, which tells nothing of itself: " + inspect.ErrUnknown.Error(),
		"EXECCREDENTIAL\tx":             "this is an ExecCredential in the AWS CLI's text format (output = text), which no client reads; pass --output json: " + inspect.ErrUnknown.Error(),
		"eyJhbGciOiJkaXIifQ.a.b.c.d":    "this is an encrypted token (JWE), which only its reader can open: " + inspect.ErrUnknown.Error(),
		strings.Repeat("x", 1<<20+1):    "larger than 1024 KiB: " + inspect.ErrUnknown.Error(),
		"eyJhbGciOiJSUzI1NiJ9.eyJhIjox": inspect.ErrUnknown.Error(),
	} {
		if _, err := inspect.Inspect(text, inspect.Options{Now: now}); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func ExampleInspect() {
	c, err := inspect.Inspect(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"abc"}}`, inspect.Options{Now: now})
	fmt.Println(c.Kind, err)
	for _, f := range c.Findings {
		fmt.Println(f.Code, f.Message)
	}
	// Output:
	// ExecCredential <nil>
	// KC144 no expirationTimestamp: a client keeps it until the server refuses it
}

// Whatever is given, nothing crashes, and no signature or password comes out.
func FuzzInspect(f *testing.F) {
	jwt := func(payload string) string {
		e := base64.RawURLEncoding.EncodeToString
		return e([]byte(`{"alg":"RS256"}`)) + "." + e([]byte(payload)) + ".S3CRETSIGNATURE"
	}
	f.Add(jwt(`{"iss":"a","exp":1,"kubernetes.io":{"namespace":"n","pod":{"name":"p"},"warnafter":2}}`))
	f.Add(jwt(`{"exp":"x","aud":7,"kubernetes.io":null}`))
	f.Add("k8s-aws-v1.aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8_")
	f.Add(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"S3CRETSIGNATURE"}}`)
	f.Add(`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","auth":{"a":{"username":"u","password":"S3CRETSIGNATURE"}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := inspect.Inspect(text, inspect.Options{Now: now, Issuer: "i", Audience: "a"})
		if err != nil || strings.Count(text, "S3CRETSIGNATURE") != 1 || !strings.HasSuffix(text, ".S3CRETSIGNATURE") {
			return
		}
		for _, fact := range c.Facts {
			if strings.Contains(fmt.Sprint(fact.Value, fact.Note), "S3CRETSIGNATURE") {
				t.Fatalf("%+v", fact)
			}
		}
		out, err := json.Marshal(c.Findings)
		if err != nil || strings.Contains(string(out), "S3CRETSIGNATURE") {
			t.Fatalf("%s %v", out, err)
		}
	})
}

// A time that is text, milliseconds or nonsense is not "no end".
func TestTimesThatAreNone(t *testing.T) {
	for claims, want := range map[string]string{
		`{"iat":1795320000,"exp":1795323600}`:    "",
		`{"iat":1795320000.5,"exp":1795323600}`:  "",
		`{"iat":null,"nbf":0,"exp":1795323600}`:  "",
		`{"iat":1795320000,"exp":"1795323600"}`:  "KC132",
		`{"iat":1795320000,"exp":1795323600000}`: "KC132",
		`{"iat":-1e18,"exp":1e300}`:              "KC132",
	} {
		token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
		c, err := inspect.Inspect(token, inspect.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range c.Findings {
			got += f.Code
		}
		if got != want {
			t.Errorf("%s: findings %q, want %q", claims, got, want)
		}
	}
}

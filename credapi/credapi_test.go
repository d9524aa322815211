package credapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

type vector struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Input string `json:"input"`
	Want  string `json:"want"`
	Error string `json:"error"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// recode decodes a document of the kind and encodes it in its own version.
func recode(kind, input string) (string, error) {
	switch kind {
	case "credential":
		c, err := credapi.ParseExecCredential([]byte(input))
		return string(c.Encode(c.APIVersion)), err
	case "info":
		r, err := credapi.ParseExecInfo([]byte(input))
		return string(r.Encode()), err
	case "request":
		r, err := credapi.ParseProviderRequest([]byte(input))
		return string(r.Encode(r.APIVersion)), err
	case "response":
		r, err := credapi.ParseProviderResponse([]byte(input))
		return string(r.Encode(r.APIVersion)), err
	}
	return "", fmt.Errorf("no kind %q", kind)
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Kind+"/"+v.Name, func(t *testing.T) {
			got, err := recode(v.Kind, v.Input)
			if v.Error != "" {
				var field *credapi.FieldError
				if err == nil || err.Error() != v.Error || !errors.As(err, &field) {
					t.Fatalf("error %v, want %s", err, v.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != v.Want {
				t.Errorf("got  %s\nwant %s", got, v.Want)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	_, err := credapi.ParseExecCredential([]byte(`{"kind":"` + strings.Repeat("x", credapi.MaxDocument) + `"}`))
	if err == nil || err.Error() != "larger than 1024 KiB" {
		t.Fatal(err)
	}
}

// No error text holds a value that might be secret.
func TestErrorsHoldNoSecret(t *testing.T) {
	const secret = "S3CRET"
	for _, input := range []string{
		`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":["` + secret + `"]}}`,
		`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"expirationTimestamp":"` + secret + `"}}`,
		`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":"` + secret + `"}`,
		`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"x` + secret + `\u0000"}}`,
		`{"kind":"ExecCredential","status":{"token":"` + secret,
		secret,
		`{"kind":"ExecCredential"}` + secret,
	} {
		_, err := credapi.ParseExecCredential([]byte(input))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

func ExampleParseExecCredential() {
	c, err := credapi.ParseExecCredential([]byte(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1","status":{"token":"abc","expirationTimestamp":"2026-11-22T04:13:00Z"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Expiration.Format(time.RFC3339))
	fmt.Println(string(c.Encode(credapi.ExecV1)))
	_, err = credapi.ParseExecCredential([]byte(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"Token":"abc"}}`))
	fmt.Println(err)
	// Output:
	// 2026-11-22T04:13:00Z
	// {"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{},"status":{"expirationTimestamp":"2026-11-22T04:13:00Z","token":"abc"}}
	// status.Token: unknown field, it is spelled token
}

// Whatever decodes, decodes again to the same once encoded, in any version.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Kind, v.Input)
	}
	f.Fuzz(func(t *testing.T, kind, input string) {
		once, err := recode(kind, input)
		if err != nil {
			return
		}
		twice, err := recode(kind, once)
		if err != nil || once != twice {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
		if !json.Valid([]byte(once)) {
			t.Fatalf("not JSON: %s", once)
		}
	})
}

func BenchmarkParseExecInfo(b *testing.B) {
	in := []byte(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}`)
	for b.Loop() {
		if _, err := credapi.ParseExecInfo(in); err != nil {
			b.Fatal(err)
		}
	}
}

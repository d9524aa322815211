package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/ekstoken"
)

type vectors struct {
	Time   time.Time
	Good   string
	Tokens []struct {
		Name, URL, Token string
		Repeat           int // so many letters A follow the token
		Kind, Reason     string
	}
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/malformed.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encode(url string) string {
	return ekstoken.Prefix + base64.RawURLEncoding.EncodeToString([]byte(url))
}

// recorder is a dialer that notes who is called and reaches nobody.
type recorder struct {
	mu    sync.Mutex
	addrs []string
}

var errNobody = errors.New("nobody is reached from here")

func (r *recorder) DialContext(_ context.Context, _, addr string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addrs = append(r.addrs, addr)
	return nil, errNobody
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.addrs
	r.addrs = nil
	return out
}

func recorded(t testing.TB, now time.Time, o Options) (*Verifier, *recorder) {
	t.Helper()
	r := &recorder{}
	o.ClusterIDs = []string{"demo"}
	o.Now = func() time.Time { return now }
	o.Transport = &http.Transport{DialContext: r.DialContext}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, r
}

func TestMalformedTokens(t *testing.T) {
	vs := readVectors(t)
	if len(vs.Tokens) < 250 {
		t.Fatalf("only %d vectors", len(vs.Tokens))
	}
	v, r := recorded(t, vs.Time, Options{})
	if _, err := v.Verify(t.Context(), encode(vs.Good)); err == nil || len(r.take()) != 1 {
		t.Fatalf("the good token is not sent: %v", err)
	}
	for _, tt := range vs.Tokens {
		token := tt.Token + strings.Repeat("A", tt.Repeat)
		if tt.URL != "" {
			token = encode(tt.URL)
		}
		_, err := v.Verify(t.Context(), token)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: %v, want an *Error", tt.Name, err)
			continue
		}
		reason := ""
		if f, ok := errors.AsType[*ekstoken.FormatError](err); ok {
			reason = string(f.Reason)
		}
		if f, ok := errors.AsType[*ekstoken.TimeError](err); ok {
			reason = map[bool]string{true: "expired", false: "future"}[f.Expired]
		}
		if string(e.Kind) != tt.Kind || reason != tt.Reason {
			t.Errorf("%s: %s, %s (%v); want %s, %s", tt.Name, e.Kind, reason, err, tt.Kind, tt.Reason)
		}
		if strings.Contains(err.Error(), strings.Repeat("0123456789abcdef", 4)) {
			t.Errorf("%s: the error shows the signature: %v", tt.Name, err)
		}
		if called := r.take(); called != nil {
			t.Errorf("%s: %v was called", tt.Name, called)
		}
	}
}

// TestNobodyElseIsCalled: whatever a token says, no host outside of the set is
// ever dialled.
func TestNobodyElseIsCalled(t *testing.T) {
	vs := readVectors(t)
	for name, o := range map[string]struct {
		options Options
		allowed func(e ekstoken.Endpoint) bool
	}{
		"partition": {Options{}, func(e ekstoken.Endpoint) bool { return e.Partition == "aws" }},
		"regions":   {Options{Regions: []string{"eu-west-1", "us-east-1"}}, func(e ekstoken.Endpoint) bool { return e.Region == "eu-west-1" || e.Region == "us-east-1" }},
		"china":     {Options{Partition: "aws-cn"}, func(e ekstoken.Endpoint) bool { return e.Partition == "aws-cn" }},
	} {
		t.Run(name, func(t *testing.T) {
			v, r := recorded(t, vs.Time, o.options)
			rapid.Check(t, func(t *rapid.T) {
				token := drawToken(t, vs)
				_, err := v.Verify(context.Background(), token)
				if err == nil {
					t.Fatal("verified by nobody")
				}
				for _, addr := range r.take() {
					host, port, _ := net.SplitHostPort(addr)
					e, ok := ekstoken.LookupHost(host)
					if !ok || port != "443" || !o.allowed(e) {
						t.Fatalf("%s was called for %q", addr, token)
					}
				}
			})
		})
	}
}

// drawToken makes tokens that look right up to a point.
func drawToken(t *rapid.T, vs vectors) string {
	url := vs.Good
	if rapid.Bool().Draw(t, "a vector") {
		url = rapid.SampledFrom(vs.Tokens).Draw(t, "vector").URL
	}
	host := rapid.OneOf(
		rapid.SampledFrom([]string{
			"sts.eu-west-1.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "sts.us-gov-west-1.amazonaws.com",
			"sts-fips.us-east-1.amazonaws.com", "sts.eu-west-1.api.aws", "169.254.169.254", "evil.com", "localhost:8080", "[::1]",
		}),
		rapid.StringMatching(`(sts|sts-fips|ec2)?[.]?[a-z-]{0,6}[0-9]?[.](amazonaws|api|evil)[.](com|aws|com[.]cn|net)(:[0-9]{1,3})?`),
	).Draw(t, "host")
	region := rapid.SampledFrom([]string{"eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", ""}).Draw(t, "region")
	url = strings.ReplaceAll(url, "sts.eu-west-1.amazonaws.com", host)
	url = strings.ReplaceAll(url, "%2Feu-west-1%2F", "%2F"+region+"%2F")
	if n := len(url); n > 0 && rapid.IntRange(0, 3).Draw(t, "insert") == 0 {
		at := rapid.IntRange(0, n).Draw(t, "at")
		url = url[:at] + rapid.SampledFrom([]string{"@", "#", "/", "\\", "?", ":", "%", "\t", "//evil.com/", "@evil.com", "\n", ".", "%2f", "%00", " "}).Draw(t, "what") + url[at:]
	}
	return encode(url)
}

func FuzzVerify(f *testing.F) {
	vs := readVectors(f)
	f.Add(vs.Good)
	for i, tt := range vs.Tokens {
		if i%7 == 0 {
			f.Add(tt.URL)
		}
	}
	v, r := recorded(f, vs.Time, Options{})
	f.Fuzz(func(t *testing.T, url string) {
		for _, token := range []string{url, encode(url)} {
			if _, err := v.Verify(t.Context(), token); err == nil {
				t.Error("verified by nobody")
			}
			for _, addr := range r.take() {
				host, port, _ := net.SplitHostPort(addr)
				if e, ok := ekstoken.LookupHost(host); !ok || e.Partition != "aws" || port != "443" {
					t.Errorf("%s was called", addr)
				}
			}
		}
	})
}

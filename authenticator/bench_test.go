package authenticator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
)

// BenchmarkRepeated is a review of a token that is known.
func BenchmarkRepeated(b *testing.B) {
	w := newWorld(b, nil)
	text := body("v1", tokenAt(b, alice, time.Now()))
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/authenticate", strings.NewReader(text))
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

// BenchmarkUnique is a review of a new token, with an STS that answers at once.
func BenchmarkUnique(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:user/alice","UserId":"AIDA"}}}`)
	}))
	defer srv.Close()
	base, err := url.Parse(srv.URL)
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(b, func(o *Options) {
		if o.Verifier, err = verify.New(verify.Options{ClusterIDs: []string{"demo"}, Base: base}); err != nil {
			b.Fatal(err)
		}
	})
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	var texts []string
	for n := range 20000 {
		token, err := ekstoken.Sign(alice, ekstoken.Request{ClusterID: "demo", Endpoint: e, Time: time.Now().Add(-time.Duration(n%300) * time.Second), Expires: n/300 + 1})
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, body("v1", token))
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		req := httptest.NewRequest(http.MethodPost, "/authenticate", strings.NewReader(texts[n%len(texts)]))
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		if rec.Code != 200 {
			b.Fatal(rec.Body)
		}
	}
}

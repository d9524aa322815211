package authenticator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/iammap"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func TestReviewInBothVersions(t *testing.T) {
	w := newWorld(t, nil)
	c := w.session("admin", "bob@example.com")
	token := tokenAt(t, c, time.Now())
	for _, version := range []string{"v1", "v1beta1", "v1"} {
		r := ask(t, w, version, token)
		s := r.review.Status
		if r.code != 200 || r.review.APIVersion != "authentication.k8s.io/"+version || r.review.Kind != "TokenReview" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %s", r.code, r.raw)
		}
		if !s.Authenticated || s.User.Username != "admin:bob-example.com" || s.User.UID != "aws-iam-authenticator:123456789012:AROAADMIN" || fmt.Sprint(s.User.Groups) != "[system:masters]" || s.Audiences != nil {
			t.Errorf("got %s", r.raw)
		}
		extra := map[string]string{
			"arn": "arn:aws:sts::123456789012:assumed-role/admin/bob@example.com", "canonicalArn": "arn:aws:iam::123456789012:role/admin",
			"sessionName": "bob@example.com", "accessKeyId": "ASIAADMIN", "principalId": "AROAADMIN",
			"sigs.k8s.io/aws-iam-authenticator/principalId": "AROAADMIN",
		}
		for k, v := range extra {
			if fmt.Sprint(s.User.Extra[k]) != "["+v+"]" {
				t.Errorf("extra %s = %v", k, s.User.Extra[k])
			}
		}
	}
	if n := len(w.aws.Calls()); n != 1 {
		t.Errorf("%d calls of STS, want 1", n)
	}
	log := w.log.String()
	for _, want := range []string{`"cache":"miss"`, `"cache":"hit"`, `"entry":"s1:2"`, `"result":"authenticated"`, `"username":"admin:bob-example.com"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, token[20:]) || strings.Contains(log, "Signature") || strings.Contains(log, "session-admin") {
		t.Errorf("the log shows the token:\n%s", log)
	}
}

// TestQuick: what an API server sends is read the quick way.
func TestQuick(t *testing.T) {
	for _, text := range []string{body("v1", "k8s-aws-v1.abc"), body("v1beta1", "")} {
		fast, ok := quick([]byte(text))
		var slow request
		if err := json.Unmarshal([]byte(text), &slow); err != nil || !ok || fast != slow {
			t.Errorf("%s: %+v %v, want %+v, %v", text, fast, ok, slow, err)
		}
	}
	for _, text := range []string{"", "{", "{}x", `{"a":1}`, `{"kind":"a","kind":"b"}`, `{"KIND":"a"}`, `{"kind":"\n"}`, `{"kind":"ä"}`, `{"kind":null}`, `{"kind":"a",}`, `{"status":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`} {
		if r, ok := quick([]byte(text)); ok {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		name, token, result string
	}{
		{"unmapped", tokenAt(t, w.session("other", "x"), time.Now()), "unmapped"},
		{"a node without a resolver", tokenAt(t, w.session("node", "i-0123456789abcdef0"), time.Now()), "forbidden"},
		{"a person as a node", tokenAt(t, w.session("node", "bob"), time.Now()), "forbidden"},
		{"malformed", "k8s-aws-v1.xxx", "malformed"},
		{"nothing", "", "malformed"},
		{"old", tokenAt(t, alice, time.Now().Add(-time.Hour)), "expired"},
		{"wrong secret", tokenAt(t, ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: "x"}, time.Now()), "refused"},
	}
	for _, tt := range tests {
		r := ask(t, w, "v1", tt.token)
		if r.code != 200 || r.review.Status.Authenticated || !strings.HasPrefix(r.review.Status.Error, "not authenticated; the webhook's log says why, review ") || r.review.Status.User.Username != "" {
			t.Errorf("%s: %d %s", tt.name, r.code, r.raw)
		}
		if !strings.Contains(w.log.String(), fmt.Sprintf(`"result":%q`, tt.result)) {
			t.Errorf("%s: the log lacks %s:\n%s", tt.name, tt.result, w.log)
		}
	}
	calls := len(w.aws.Calls())
	ask(t, w, "v1", tests[6].token)
	if n := len(w.aws.Calls()); n != calls {
		t.Error("STS was asked again about a token that it refused a moment ago")
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, nil)
	good := body("v1", "x")
	tests := []struct {
		name, method, contentType, body string
		code                            int
	}{
		{"GET", "GET", "application/json", "", 405},
		{"empty", "POST", "application/json", "", 400},
		{"no JSON", "POST", "application/json", "hello", 400},
		{"half JSON", "POST", "application/json", good[:50], 400},
		{"a list", "POST", "application/json", "[]", 400},
		{"two values", "POST", "application/json", good + good, 400},
		{"protobuf", "POST", "application/vnd.kubernetes.protobuf", good, 415},
		{"text", "POST", "text/plain", good, 415},
		{"a broken type", "POST", "application/json; charset", good, 415},
		{"another kind", "POST", "application/json", strings.Replace(good, "TokenReview", "SubjectAccessReview", 1), 400},
		{"version v2", "POST", "application/json", strings.Replace(good, "/v1", "/v2", 1), 400},
		{"v1alpha1", "POST", "application/json", strings.Replace(good, "/v1", "/v1alpha1", 1), 400},
		{"another group", "POST", "application/json", strings.Replace(good, "authentication.k8s.io", "authorization.k8s.io", 1), 400},
		{"no version", "POST", "application/json", strings.Replace(good, `"apiVersion":"authentication.k8s.io/v1",`, "", 1), 400},
		{"a token that is a number", "POST", "application/json", strings.Replace(good, `"token":"x"`, `"token":1`, 1), 400},
		{"long", "POST", "application/json", good + strings.Repeat(" ", maxBody), 413},
		{"no content type", "POST", "", good, 200},
		{"with a charset", "POST", "application/json; charset=utf-8", good, 200},
	}
	for _, tt := range tests {
		req := httptest.NewRequest(tt.method, "/authenticate", strings.NewReader(tt.body))
		if tt.contentType != "" {
			req.Header.Set("Content-Type", tt.contentType)
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		if rec.Code != tt.code {
			t.Errorf("%s: %d %s, want %d", tt.name, rec.Code, rec.Body, tt.code)
		}
	}
	// A length that is not told, and far too much: bounded all the same.
	req := httptest.NewRequest(http.MethodPost, "/authenticate", endless{})
	req.ContentLength = -1
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, req)
	if rec.Code != 413 {
		t.Errorf("an endless body: %d", rec.Code)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestScrubbed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ScrubbedAccounts = []string{awsfake.Account} })
	r := ask(t, w, "v1", tokenAt(t, alice, time.Now()))
	if s := r.review.Status; s.User.UID != "aws-iam-authenticator:administrative:alice" || s.User.Extra != nil {
		t.Errorf("%s", r.raw)
	}
	if strings.Contains(w.log.String(), awsfake.Account) {
		t.Errorf("the log names the account:\n%s", w.log)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	ask(t, w, "v1", tokenAt(t, alice, time.Now()))
	ask(t, w, "v1", "x")
	got := w.gathered(t)
	for k, v := range map[string]float64{
		"kubecred_authenticator_review_seconds authenticated":                       1,
		"kubecred_authenticator_review_seconds malformed":                           1,
		"kubecred_authenticator_sts_seconds sts.eu-west-1.amazonaws.com identified": 1,
		"kubecred_authenticator_cached_tokens":                                      1,
		"kubecred_authenticator_open_breakers":                                      0,
		"kubecred_authenticator_sts_up sts.eu-west-1.amazonaws.com":                 1,
	} {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}

func TestMappingsChange(t *testing.T) {
	w := newWorld(t, nil)
	token := tokenAt(t, alice, time.Now())
	ask(t, w, "v1", token)
	m := w.o.Mappings
	sources, err := iammap.Read("s1", []byte(strings.Replace(mapping, "groups: [devs]", "groups: [ops]", 1)))
	m.set(0, sources, err)
	if r := ask(t, w, "v1", token); fmt.Sprint(r.review.Status.User.Groups) != "[ops]" {
		t.Errorf("a changed mapping does not count at once: %s", r.raw)
	}
	sources, err = iammap.Read("s1", []byte("kind: ConfigMap\nmetadata: {name: aws-auth}\ndata:\n  mapRoles: |\n    -x: y\n      z: 1\n"))
	m.set(0, sources, err)
	if r := ask(t, w, "v1", token); fmt.Sprint(r.review.Status.User.Groups) != "[ops]" {
		t.Errorf("a state that does not parse replaces a good one: %s", r.raw)
	}
	if s := m.State(); s[0].Err == nil || !strings.Contains(s[0].Err.Error(), "mapRoles is not valid YAML") {
		t.Errorf("%v", s)
	}
	m.set(0, nil, errors.New("gone"))
	if r := ask(t, w, "v1", token); !r.review.Status.Authenticated {
		t.Errorf("a source that can not be had takes away what was known: %s", r.raw)
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(body("v1", "k8s-aws-v1.x")))
	f.Add([]byte(body("v1beta1", "")))
	f.Add([]byte(`{"kind":"TokenReview"}`))
	f.Add([]byte(` { "kind" : "TokenReview", "status":{"a":[null,true,false,"",{}]}, "spec":{"token":"a"},"spec":{"audiences":[]} } `))
	f.Add([]byte(`{"Kind":"x","kind":"y"}`))
	f.Add([]byte(`{"spec":{"token":"\u0061"}}`))
	w := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		req := httptest.NewRequest(http.MethodPost, "/authenticate", bytes.NewReader(data))
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		if fast, ok := quick(data); ok {
			var slow request
			if err := json.Unmarshal(data, &slow); err != nil || slow != fast {
				t.Errorf("%q is read as %+v, and by encoding/json as %+v, %v", data, fast, slow, err)
			}
		}
		if strings.Contains(rec.Body.String(), `"authenticated":true`) {
			t.Errorf("%q was let in", data)
		}
		if rec.Code == 200 {
			var r struct{ APIVersion, Kind string }
			if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil || r.Kind != "TokenReview" {
				t.Errorf("%q is answered with %s", data, rec.Body)
			}
		}
	})
}

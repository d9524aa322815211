package authenticator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
	"github.com/kubecred/kubecred/internal/awsfake"
)

const mapping = `
- {rolearn: "arn:aws:iam::123456789012:role/admin", username: "admin:{{SessionName}}", groups: ["system:masters"]}
- {rolearn: "arn:aws:iam::123456789012:role/node", username: "system:node:{{EC2PrivateDNSName}}", groups: ["system:nodes"]}
- {rolearn: "arn:aws:iam::123456789012:user/alice", username: alice, groups: [devs]}
`

// static is a feed that says one thing.
type static struct{ name, text string }

func (s static) Name() string { return s.name }

func (s static) Run(_ context.Context, set func([]*iammap.Source, error)) {
	set(parseOrEmpty(s.name, []byte(s.text)))
}

func mappingsOf(t testing.TB, texts ...string) *Mappings {
	t.Helper()
	var feeds []Feed
	for i, s := range texts {
		feeds = append(feeds, static{fmt.Sprintf("s%d", i+1), s})
	}
	m := NewMappings(feeds, nil, nil)
	m.Run(t.Context())
	if err := m.Ready(); err != nil {
		t.Fatal(err)
	}
	return m
}

// world is a handler before a stand-in for STS.
type world struct {
	*Handler
	aws      *awsfake.Server
	log      *lockedBuffer
	registry *prometheus.Registry
	clock    *atomic.Int64 // added to the real time, in nanoseconds
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	aws, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	base, err := url.Parse(aws.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{aws: aws, log: &lockedBuffer{}, registry: prometheus.NewRegistry(), clock: &atomic.Int64{}}
	now := func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) }
	v, err := verify.New(verify.Options{ClusterIDs: []string{"demo"}, Base: base, Timeout: 2 * time.Second, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Verifier: v, Mappings: mappingsOf(t, mapping), Now: now, Metrics: w.registry, Log: slog.New(slog.NewJSONHandler(w.log, nil))}
	if change != nil {
		change(&o)
	}
	if w.Handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) session(role, name string) ekstoken.Credentials {
	k := awsfake.Key{
		AccessKeyID: "ASIA" + strings.ToUpper(role), SecretAccessKey: "secret", SessionToken: "session-" + role, Account: awsfake.Account,
		ARN: "arn:aws:sts::123456789012:assumed-role/" + role + "/" + name, UserID: "AROA" + strings.ToUpper(role) + ":" + name,
	}
	w.aws.AddKey(k)
	return ekstoken.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}
}

var alice = ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}

func tokenAt(t testing.TB, c ekstoken.Credentials, at time.Time) string {
	t.Helper()
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	token, err := ekstoken.Sign(c, ekstoken.Request{ClusterID: "demo", Endpoint: e, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func body(version, token string) string {
	return fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/%s","kind":"TokenReview","metadata":{"creationTimestamp":null},"spec":{"token":%q,"audiences":["https://kubernetes.default.svc"]},"status":{"user":{}}}`, version, token)
}

type response struct {
	code   int
	header http.Header
	raw    string
	review struct {
		APIVersion, Kind string
		Status           struct {
			Authenticated bool
			Error         string
			Audiences     []string
			User          struct {
				Username, UID string
				Groups        []string
				Extra         map[string][]string
			}
		}
	}
}

func ask(t testing.TB, h http.Handler, version, token string) response {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/authenticate", strings.NewReader(body(version, token)))
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	r := response{code: rec.Code, header: rec.Header(), raw: rec.Body.String()}
	if err := json.Unmarshal(rec.Body.Bytes(), &r.review); err != nil {
		t.Errorf("the answer %q: %v", rec.Body.String(), err)
	}
	return r
}

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

func TestOutage(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CacheTTL = time.Minute })
	token := tokenAt(t, alice, time.Now())
	if r := ask(t, w, "v1", token); !r.review.Status.Authenticated {
		t.Fatal(r.raw)
	}
	w.aws.Fail(awsfake.Fault{Action: "*", Status: 500})
	w.clock.Store(int64(2 * time.Minute)) // no longer fresh, still alive
	if r := ask(t, w, "v1", token); r.code != 200 || !r.review.Status.Authenticated || !strings.Contains(w.log.String(), `"cache":"stale"`) {
		t.Errorf("an identity that is known is not served while STS is down: %d %s", r.code, r.raw)
	}
	other := w.session("admin", "bob")
	now := time.Now().Add(2 * time.Minute)
	for i := range 12 {
		r := ask(t, w, "v1", tokenAt(t, other, now.Add(-time.Duration(i)*time.Second)))
		if r.code != 503 || r.header.Get("Retry-After") == "" || r.review.Status.Authenticated {
			t.Errorf("%d %s", r.code, r.raw)
		}
	}
	stopped := len(w.aws.Calls())
	if stopped > 8 {
		t.Errorf("the breaker let %d calls through", stopped)
	}
	w.aws.Mend()
	w.aws.Skew(2*time.Minute + 30*time.Second)
	w.clock.Store(int64(2*time.Minute + 30*time.Second))
	if r := ask(t, w, "v1", tokenAt(t, other, now)); !r.review.Status.Authenticated {
		t.Errorf("not served again after the outage: %d %s", r.code, r.raw)
	}
	w.aws.Fail(awsfake.Fault{Action: "*", Status: 500})
	w.clock.Store(int64(16 * time.Minute))
	if r := ask(t, w, "v1", token); r.review.Status.Authenticated {
		t.Error("a token is taken beyond its life")
	}
}

func TestThrottling(t *testing.T) {
	w := newWorld(t, nil)
	w.aws.Fail(awsfake.Fault{Action: "*", Throttle: true})
	first := ask(t, w, "v1", tokenAt(t, alice, time.Now()))
	if first.code != 429 || first.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", first.code, first.header)
	}
	w.aws.Mend()
	calls := len(w.aws.Calls())
	second := ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Second)))
	if second.code != 429 || len(w.aws.Calls()) != calls {
		t.Errorf("a principal that STS throttles asks again at once: %d", second.code)
	}
	if r := ask(t, w, "v1", tokenAt(t, w.session("admin", "bob"), time.Now())); !r.review.Status.Authenticated {
		t.Errorf("another principal suffers: %s", r.raw)
	}
	w.clock.Store(int64(20 * time.Second))
	if r := ask(t, w, "v1", tokenAt(t, alice, time.Now())); !r.review.Status.Authenticated {
		t.Errorf("%s", r.raw)
	}
}

// slow is a verifier that waits to be told.
type slow struct {
	Verifier
	calls   atomic.Int32
	release chan struct{}
}

func (s *slow) Ask(ctx context.Context, t ekstoken.Token) (verify.Identity, error) {
	s.calls.Add(1)
	select {
	case <-s.release:
	case <-ctx.Done():
		return verify.Identity{}, ctx.Err()
	}
	return s.Verifier.Ask(ctx, t)
}

func TestSingleFlight(t *testing.T) {
	var v *slow
	w := newWorld(t, func(o *Options) {
		v = &slow{Verifier: o.Verifier, release: make(chan struct{})}
		o.Verifier = v
	})
	token := tokenAt(t, alice, time.Now())
	// The first to ask goes away; the others must not suffer.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body("v1", token)))
		w.ServeHTTP(httptest.NewRecorder(), req)
	}()
	for v.calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	var wg sync.WaitGroup
	var good atomic.Int32
	for range 20 {
		wg.Go(func() {
			if ask(t, w, "v1", token).review.Status.Authenticated {
				good.Add(1)
			}
		})
	}
	close(v.release)
	wg.Wait()
	<-gone
	if good.Load() != 20 || v.calls.Load() != 1 {
		t.Errorf("%d of 20 after %d calls", good.Load(), v.calls.Load())
	}
}

func TestLimits(t *testing.T) {
	var v *slow
	w := newWorld(t, func(o *Options) {
		v = &slow{Verifier: o.Verifier, release: make(chan struct{})}
		o.Verifier = v
		o.Limits = Limits{InFlight: 3, InFlightPerPrincipal: 2}
	})
	results := make(chan int, 3)
	for i := range 2 {
		go func() {
			results <- ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Duration(i)*time.Second))).code
		}()
	}
	for v.calls.Load() != 2 {
		time.Sleep(time.Millisecond)
	}
	if r := ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-5*time.Second))); r.code != 429 || r.header.Get("Retry-After") != "1" {
		t.Errorf("the third call of a principal: %d", r.code)
	}
	bob := w.session("admin", "bob")
	go func() { results <- ask(t, w, "v1", tokenAt(t, bob, time.Now())).code }()
	for v.calls.Load() != 3 {
		time.Sleep(time.Millisecond)
	}
	if r := ask(t, w, "v1", tokenAt(t, w.session("other", "x"), time.Now())); r.code != 429 {
		t.Errorf("the fourth call of all: %d", r.code)
	}
	close(v.release)
	for range 3 {
		if code := <-results; code != 200 {
			t.Errorf("a call within the limits: %d", code)
		}
	}
	t.Run("rate", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Limits = Limits{QPSPerPrincipal: 1} })
		codes := map[int]int{}
		for i := range 6 {
			codes[ask(t, w, "v1", tokenAt(t, alice, time.Now().Add(-time.Duration(i)*time.Second))).code]++
		}
		if codes[429] < 3 || codes[200] < 2 {
			t.Errorf("%v", codes)
		}
	})
}

func TestCacheOff(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CacheSize = -1 })
	token := tokenAt(t, alice, time.Now())
	for range 3 {
		if r := ask(t, w, "v1", token); !r.review.Status.Authenticated {
			t.Fatal(r.raw)
		}
	}
	if n := len(w.aws.Calls()); n != 3 {
		t.Errorf("%d calls, want 3", n)
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

func TestInstances(t *testing.T) {
	d := &describer{names: map[string]string{"i-00000001": "ip-1", "i-00000002": "ip-2"}}
	in := NewInstances(d, nil)
	w := newWorld(t, func(o *Options) { o.Instances = in })
	var wg sync.WaitGroup
	for i := 1; i <= 3; i++ {
		for range 5 {
			wg.Go(func() {
				id := fmt.Sprintf("i-0000000%d", i)
				got, err := in.PrivateDNSName(t.Context(), id)
				if want := d.names[id]; got != want || (err == nil) != (want != "") {
					t.Errorf("%s: %q, %v", id, got, err)
				}
			})
		}
	}
	wg.Wait()
	if n := d.calls.Load(); n > 2 {
		t.Errorf("%d calls of EC2 for three instances at once", n)
	}
	if r := ask(t, w, "v1", tokenAt(t, w.session("node", "i-00000002"), time.Now())); r.review.Status.User.Username != "system:node:ip-2" {
		t.Errorf("%s", r.raw)
	}
	d.fail.Store(true)
	r := ask(t, w, "v1", tokenAt(t, w.session("node", "i-00000009"), time.Now().Add(-time.Second)))
	if r.code != 503 {
		t.Errorf("EC2 does not answer: %d %s", r.code, r.raw)
	}
}

type describer struct {
	names map[string]string
	calls atomic.Int32
	fail  atomic.Bool
}

func (d *describer) PrivateDNSNames(_ context.Context, ids []string) (map[string]string, error) {
	d.calls.Add(1)
	if d.fail.Load() {
		return nil, errors.New("RequestLimitExceeded")
	}
	out := map[string]string{}
	for _, id := range ids {
		if n, ok := d.names[id]; ok {
			out[id] = n
		}
	}
	return out, nil
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
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := f.GetName()
			for _, l := range m.GetLabel() {
				labels += " " + l.GetValue()
			}
			if m.GetHistogram() != nil {
				got[labels] = float64(m.GetHistogram().GetSampleCount())
			} else {
				got[labels] = m.GetGauge().GetValue()
			}
		}
	}
	for k, v := range map[string]float64{
		"kubecred_authenticator_review_seconds authenticated":                       1,
		"kubecred_authenticator_review_seconds malformed":                           1,
		"kubecred_authenticator_sts_seconds sts.eu-west-1.amazonaws.com identified": 1,
		"kubecred_authenticator_cached_tokens":                                      1,
		"kubecred_authenticator_open_breakers":                                      0,
	} {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}

func FuzzReview(f *testing.F) {
	f.Add([]byte(body("v1", "k8s-aws-v1.x")))
	f.Add([]byte(body("v1beta1", "")))
	f.Add([]byte(`{"kind":"TokenReview"}`))
	w := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		req := httptest.NewRequest(http.MethodPost, "/authenticate", bytes.NewReader(data))
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
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

package authenticator

import (
	"bytes"
	"context"
	"encoding/json"
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

// gathered are the metrics' values by name and labels; of a histogram, how many
// it has seen.
func (w *world) gathered(t *testing.T) map[string]float64 {
	t.Helper()
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
	return got
}

package verify

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func fake(t testing.TB) (*awsfake.Server, *url.URL) {
	t.Helper()
	s, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s, u
}

func sign(t testing.TB, c ekstoken.Credentials, cluster string) string {
	t.Helper()
	e, ok := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	if !ok {
		t.Fatal("no endpoint")
	}
	token, err := ekstoken.Sign(c, ekstoken.Request{ClusterID: cluster, Endpoint: e, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var alice = ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}

func TestVerify(t *testing.T) {
	s, base := fake(t)
	s.AddKey(awsfake.Key{
		AccessKeyID: "ASIASESSION", SecretAccessKey: "secret", SessionToken: "session", Account: awsfake.Account,
		ARN: "arn:aws:sts::123456789012:assumed-role/admin/bob@example.com", UserID: "AROAEXAMPLEADMIN:bob@example.com",
	})
	v, err := New(Options{ClusterIDs: []string{"old", "demo", "new"}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	session := ekstoken.Credentials{AccessKeyID: "ASIASESSION", SecretAccessKey: "secret", SessionToken: "session"}
	for range 2 { // the second time the right id is tried first
		before := len(s.Calls())
		id, err := v.Verify(t.Context(), sign(t, session, "demo"))
		if err != nil {
			t.Fatal(err)
		}
		want := Identity{
			ARN: "arn:aws:sts::123456789012:assumed-role/admin/bob@example.com", Account: awsfake.Account,
			UserID: "AROAEXAMPLEADMIN:bob@example.com", AccessKeyID: "ASIASESSION",
			Endpoint: "sts.eu-west-1.amazonaws.com", ClusterID: "demo", ExpiresAt: id.ExpiresAt,
		}
		if id != want || id.ExpiresAt.Before(time.Now().Add(14*time.Minute)) {
			t.Errorf("got %+v, want %+v", id, want)
		}
		t.Log(len(s.Calls())-before, "calls")
	}
	if n := len(s.Calls()); n != 3 {
		t.Errorf("%d calls, want 3: for old and demo, then for demo at once", n)
	}
}

func TestVerifyRefuses(t *testing.T) {
	tests := []struct {
		name  string
		fault awsfake.Fault
		token func(*testing.T) string
		kind  Kind
		want  string
	}{
		{"another cluster", awsfake.Fault{}, func(t *testing.T) string { return sign(t, alice, "stage") }, Refused,
			"sts.eu-west-1.amazonaws.com: SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided"},
		{"a wrong secret", awsfake.Fault{}, func(t *testing.T) string {
			return sign(t, ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: "x"}, "demo")
		}, Refused, "sts.eu-west-1.amazonaws.com: SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided"},
		{"a key that is gone", awsfake.Fault{}, func(t *testing.T) string {
			return sign(t, ekstoken.Credentials{AccessKeyID: "AKIAGONE", SecretAccessKey: "x"}, "demo")
		}, Refused, "sts.eu-west-1.amazonaws.com: InvalidClientTokenId: The security token included in the request is invalid."},
		{"throttled", awsfake.Fault{Throttle: true}, nil, Throttled, "sts.eu-west-1.amazonaws.com: Throttling: Rate exceeded"},
		{"an expired session", awsfake.Fault{Code: "ExpiredToken", Message: "The security token included in the request is expired"}, nil, Expired,
			"sts.eu-west-1.amazonaws.com: ExpiredToken: The security token included in the request is expired"},
		{"a server error", awsfake.Fault{Status: 503}, nil, Unavailable, "sts.eu-west-1.amazonaws.com: InternalFailure: it answers with status 503"},
		{"too slow", awsfake.Fault{Delay: time.Minute, Status: 500}, nil, Unavailable, "sts.eu-west-1.amazonaws.com: no answer within 150ms"},
		{"denied", awsfake.Fault{Code: "AccessDenied", Message: "no\nX-Amz-Signature=abc"}, nil, Refused, "sts.eu-west-1.amazonaws.com: AccessDenied: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, base := fake(t)
			if tt.fault != (awsfake.Fault{}) {
				tt.fault.Action = "*"
				s.Fail(tt.fault)
			}
			v, err := New(Options{ClusterIDs: []string{"demo"}, Base: base, Timeout: 150 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			token := sign(t, alice, "demo")
			if tt.token != nil {
				token = tt.token(t)
			}
			_, err = v.Verify(t.Context(), token)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tt.kind || err.Error() != tt.want {
				t.Errorf("got %v, want %s, %s", err, tt.kind, tt.want)
			}
		})
	}
	t.Run("reset", func(t *testing.T) {
		s, base := fake(t)
		s.Fail(awsfake.Fault{Action: "*", Reset: true})
		v, err := New(Options{ClusterIDs: []string{"demo"}, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		token := sign(t, alice, "demo")
		_, err = v.Verify(t.Context(), token)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != Unavailable || strings.Contains(err.Error(), "X-Amz") {
			t.Errorf("got %v", err)
		}
	})
}

// TestLies: answers that STS does not give.
func TestLies(t *testing.T) {
	answer := func(account, arn, id string) string {
		return fmt.Sprintf(`{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":%q,"Arn":%q,"UserId":%q}}}`, account, arn, id)
	}
	const a = "123456789012"
	tests := []struct {
		name    string
		status  int
		body    string
		headers map[string]string
		kind    Kind
		want    string
	}{
		{"a true one", 200, answer(a, "arn:aws:iam::123456789012:user/alice", "AIDA"), nil, "", ""},
		{"a true root", 200, answer(a, "arn:aws:iam::123456789012:root", a), nil, "", ""},
		{"a true federated user", 200, answer(a, "arn:aws:sts::123456789012:federated-user/bob", a+":bob"), nil, "", ""},
		{"a true session", 200, answer(a, "arn:aws:sts::123456789012:assumed-role/r/s", "AROA:s"), nil, "", ""},
		{"another account", 200, answer("999999999999", "arn:aws:iam::123456789012:user/alice", "AIDA"), nil, Unavailable, "the answer's ARN and its account do not agree"},
		{"another partition", 200, answer(a, "arn:aws-cn:iam::123456789012:user/alice", "AIDA"), nil, Unavailable, `the answer's ARN is of partition "aws-cn" and the host of aws`},
		{"another session", 200, answer(a, "arn:aws:sts::123456789012:assumed-role/r/s", "AROA:t"), nil, Unavailable, "the answer's user id and the session in its ARN do not agree"},
		{"no session", 200, answer(a, "arn:aws:sts::123456789012:assumed-role/r/s", "AROA"), nil, Unavailable, "the answer's user id and the session in its ARN do not agree"},
		{"a user with a session", 200, answer(a, "arn:aws:iam::123456789012:user/alice", "AROA:s"), nil, Unavailable, "the answer's user id has a session, and its ARN has none"},
		{"another federated user", 200, answer(a, "arn:aws:sts::123456789012:federated-user/bob", "1:bob"), nil, Unavailable, "the answer's user id and the federated user in its ARN do not agree"},
		{"a group", 200, answer(a, "arn:aws:iam::123456789012:group/g", "AGPA"), nil, Unavailable, "the answer's ARN is none of a caller"},
		{"no ARN", 200, answer(a, "alice", "AIDA"), nil, Unavailable, "the answer's ARN is none of a caller"},
		{"no user id", 200, answer(a, "arn:aws:iam::123456789012:user/alice", ""), nil, Unavailable, "the answer names no user id"},
		{"a short account", 200, answer("1", "arn:aws:iam::1:user/alice", "AIDA"), nil, Unavailable, "the answer's ARN and its account do not agree"},
		{"nothing", 200, "", nil, Unavailable, "the answer is no GetCallerIdentity response (no content type)"},
		{"an empty object", 200, "{}", nil, Unavailable, "the answer is no GetCallerIdentity response (no content type)"},
		{"HTML", 200, "<html>Welcome</html>", map[string]string{"Content-Type": "text/html"}, Unavailable, "the answer is no GetCallerIdentity response (text/html)"},
		{"a proxy's no", 403, "<html>Blocked</html>", map[string]string{"Content-Type": "text/html"}, Unavailable, "status 403 with an answer that is not STS's (text/html); a proxy's?"},
		{"a redirect to metadata", 302, "", map[string]string{"Location": "http://169.254.169.254/latest/meta-data/"}, Unavailable, "the answer is a redirect (302), which STS never sends and which is not followed"},
		{"a permanent redirect", 308, answer(a, "arn:aws:iam::123456789012:user/alice", "AIDA"), map[string]string{"Location": "https://evil.com/"}, Unavailable, "the answer is a redirect (308), which STS never sends and which is not followed"},
		{"too long", 200, strings.Repeat(" ", maxAnswer) + answer(a, "arn:aws:iam::123456789012:user/alice", "AIDA"), nil, Unavailable, "the answer is longer than 64 KiB"},
		{"throttled by a balancer", 429, "slow down", map[string]string{"Retry-After": "7"}, Throttled, "it asks to wait"},
		{"unauthorized by a proxy", 407, "", nil, Unavailable, "status 407 with an answer that is not STS's (no content type); a proxy's?"},
		{"an identity with an error's status", 403, answer(a, "arn:aws:iam::123456789012:user/alice", "AIDA"), nil, Unavailable, "status 403 with an answer that is not STS's (no content type); a proxy's?"},
		{"created", 201, answer(a, "arn:aws:iam::123456789012:user/alice", "AIDA"), nil, Unavailable, "status 201 with an answer that is not STS's (no content type); a proxy's?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				if r.Host != "sts.eu-west-1.amazonaws.com" || r.Header.Get("x-k8s-aws-id") != "demo" || r.Method != http.MethodGet {
					t.Errorf("asked %s %s with %v", r.Method, r.Host, r.Header)
				}
				w.Header()["Content-Type"] = nil
				for k, v := range tt.headers {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer srv.Close()
			base, _ := url.Parse(srv.URL)
			v, err := New(Options{ClusterIDs: []string{"demo"}, Base: base})
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Verify(t.Context(), sign(t, alice, "demo"))
			if tt.kind == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tt.kind || e.Message != tt.want || calls != 1 {
				t.Errorf("got %v after %d calls, want %s, %s", err, calls, tt.kind, tt.want)
			}
			if tt.headers["Retry-After"] != "" && e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter %v", e.RetryAfter)
			}
		})
	}
}

// TestNewRegion: a region that is newer than the table is asked where it is
// named, and no other that is.
func TestNewRegion(t *testing.T) {
	e, err := ekstoken.EndpointFor("eu-west-77", false, false)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ekstoken.Sign(alice, ekstoken.Request{ClusterID: "demo", Endpoint: e, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]bool{"eu-west-77": true, "eu-west-78": false, "eu-west-1": false, "": false} {
		o := Options{ClusterIDs: []string{"demo"}}
		if region != "" {
			o.Regions = []string{region}
		}
		v, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Check(token); (err == nil) != want {
			t.Errorf("with region %q: %v", region, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		o    Options
		want string
	}{
		{Options{}, "no cluster id: a token says who somebody is for one cluster only"},
		{Options{ClusterIDs: []string{""}}, `cluster id "": an id is printable ASCII and not empty`},
		{Options{ClusterIDs: []string{"a\r\nb"}}, `cluster id "a\r\nb": an id is printable ASCII and not empty`},
		{Options{ClusterIDs: []string{"a"}, Partition: "aws-x"}, `there is no AWS partition "aws-x"`},
		{Options{ClusterIDs: []string{"a"}, Regions: []string{"cn-north-1"}}, `region "cn-north-1" is not in partition aws`},
	}
	for _, tt := range tests {
		if _, err := New(tt.o); err == nil || err.Error() != tt.want {
			t.Errorf("New(%+v): %v, want %s", tt.o, err, tt.want)
		}
	}
}

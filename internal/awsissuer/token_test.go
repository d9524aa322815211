package awsissuer_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/awsissuer"
)

// place is a machine with a home of its own, whose AWS is the stand-in.
type place struct {
	t    *testing.T
	fake *awsfake.Server
	home string
	awsissuer.World
}

func newPlace(t *testing.T, config awsfake.Config) *place {
	t.Helper()
	fake, err := awsfake.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	home := t.TempDir()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	// The SDK works out the usual places as the program starts.
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws", "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws", "credentials"))
	for _, v := range fake.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	return &place{t: t, fake: fake, home: home, World: awsissuer.World{Getenv: os.Getenv, Home: home, Now: time.Now}}
}

func (p *place) file(name, text string) {
	p.t.Helper()
	name = filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) environmentKeys() {
	p.t.Setenv("AWS_ACCESS_KEY_ID", awsfake.UserKey)
	p.t.Setenv("AWS_SECRET_ACCESS_KEY", awsfake.UserSecret)
}

// token asks for a token, and has the stand-in say whose it is.
func (p *place) token(r awsissuer.TokenRequest) (awsissuer.Token, ekstoken.Token, error) {
	p.t.Helper()
	if r.ClusterName == "" && r.ClusterID == "" {
		r.ClusterName = "demo"
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	t, err := awsissuer.EKSToken(ctx, p.World, r)
	if err != nil {
		return t, ekstoken.Token{}, err
	}
	parsed, err := ekstoken.Parse(t.Token)
	if err != nil {
		p.t.Fatalf("%v", err)
	}
	return t, parsed, nil
}

func staticProfile(extra string) string {
	return "[default]\nregion = eu-west-1\n" + extra + "\n[profile keys]\naws_access_key_id = " + awsfake.UserKey + "\naws_secret_access_key = " + awsfake.UserSecret + "\nregion=eu-central-1\n"
}

func TestSources(t *testing.T) {
	sum := sha1.Sum([]byte("corp"))
	tests := []struct {
		name   string
		set    func(*place)
		ask    awsissuer.TokenRequest
		key    string // begins so
		region string
		calls  string // of the stand-in
	}{
		{name: "environment", set: (*place).environmentKeys, key: awsfake.UserKey, region: "eu-west-1"},
		{name: "environment, no region", set: func(p *place) { p.environmentKeys(); p.t.Setenv("AWS_REGION", "") }, key: awsfake.UserKey, region: "us-east-1"},
		{name: "role, no region", set: func(p *place) { p.environmentKeys(); p.t.Setenv("AWS_REGION", "") }, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}, key: "ASIA", region: "us-east-1", calls: "sts:AssumeRole"},
		{name: "environment, region given", set: (*place).environmentKeys, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Region: "us-west-2"}}, key: awsfake.UserKey, region: "us-west-2"},
		{name: "keys in a profile", set: func(p *place) {
			p.file(".aws/config", staticProfile(""))
			p.t.Setenv("AWS_PROFILE", "keys")
			p.t.Setenv("AWS_REGION", "")
		}, key: awsfake.UserKey, region: "eu-central-1"},
		{name: "keys in the credentials file", set: func(p *place) {
			p.file(".aws/credentials", "[default]\naws_access_key_id="+awsfake.UserKey+"\naws_secret_access_key="+awsfake.UserSecret+"\n")
		}, key: awsfake.UserKey, region: "eu-west-1"},
		{name: "profile with a comment that only the SDK reads", set: func(p *place) {
			p.file(".aws/config", "[profile x]\nregion = eu-west-1\naws_access_key_id = "+awsfake.UserKey+" # mine\naws_secret_access_key = "+awsfake.UserSecret+"\n")
		}, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Profile: "x"}}, key: awsfake.UserKey, region: "eu-west-1"},
		{name: "a given profile wins over the environment", set: func(p *place) {
			p.t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
			p.t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
			p.file(".aws/config", staticProfile(""))
		}, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Profile: "keys"}}, key: awsfake.UserKey, region: "eu-west-1"},
		{name: "role", set: (*place).environmentKeys, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}, key: "ASIA", region: "eu-west-1", calls: "sts:AssumeRole"},
		{name: "chain of roles", set: (*place).environmentKeys, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole, awsfake.NodeRole}, SessionName: "me"}}, key: "ASIA", region: "eu-west-1", calls: "sts:AssumeRole sts:AssumeRole"},
		{name: "role of a profile", set: func(p *place) {
			p.file(".aws/config", staticProfile("[profile admin]\nrole_arn = "+awsfake.AdminRole+"\nsource_profile = keys\n"))
			p.t.Setenv("AWS_PROFILE", "admin")
		}, key: "ASIA", region: "eu-west-1", calls: "sts:AssumeRole"},
		{name: "web identity", set: func(p *place) {
			p.file("token", "web-identity-token")
			p.t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(p.home, "token"))
			p.t.Setenv("AWS_ROLE_ARN", awsfake.AdminRole)
		}, key: "ASIA", region: "eu-west-1", calls: "sts:AssumeRoleWithWebIdentity"},
		{name: "Pod Identity", set: func(p *place) {
			p.file("token", "container-token")
			p.t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", p.fake.URL+"/v1/credentials")
			p.t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", filepath.Join(p.home, "token"))
		}, key: "ASIA", region: "eu-west-1", calls: "container:Credentials"},
		{name: "instance metadata, its region too", set: func(p *place) {
			p.t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			p.t.Setenv("AWS_REGION", "")
		}, key: "ASIA", region: "eu-west-1", calls: "imds:Token imds:Get imds:Token imds:Get imds:Token imds:Get"},
		{name: "SSO", set: func(p *place) {
			p.file(".aws/config", "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = admin\nregion = eu-west-1\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-west-1\n")
			p.file(".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", `{"accessToken":"sso-token","expiresAt":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
			p.t.Setenv("AWS_PROFILE", "sso")
		}, key: "ASIA", region: "eu-west-1", calls: "sso:GetRoleCredentials"},
		{name: "process", set: func(p *place) {
			if runtime.GOOS == "windows" {
				p.t.Skip("the process is a shell's")
			}
			p.file("creds.json", `{"Version":1,"AccessKeyId":"`+awsfake.UserKey+`","SecretAccessKey":"`+awsfake.UserSecret+`"}`)
			p.file(".aws/config", "[default]\ncredential_process = cat "+filepath.Join(p.home, "creds.json")+"\n")
		}, key: awsfake.UserKey, region: "eu-west-1"},
		{name: "FIPS with a configured endpoint", set: func(p *place) {
			p.environmentKeys()
			p.t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
			p.t.Setenv("AWS_REGION", "us-east-2")
		}, ask: awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}, key: "ASIA", region: "us-east-2", calls: "sts:AssumeRole"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, awsfake.Default())
			tt.set(p)
			_, parsed, err := p.token(tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(parsed.AccessKeyID, tt.key) || parsed.Endpoint.Region != tt.region {
				t.Errorf("%v", parsed)
			}
			var calls []string
			for _, c := range p.fake.Calls() {
				calls = append(calls, c.Action)
			}
			if got := strings.Join(calls, " "); got != tt.calls {
				t.Errorf("calls %q, want %q", got, tt.calls)
			}
			if strings.Contains(tt.name, "FIPS") && parsed.Endpoint.Host != "sts-fips.us-east-2.amazonaws.com" {
				t.Error(parsed.Endpoint.Host)
			}
		})
	}
}

// The life is never longer than that of the credentials.
func TestLife(t *testing.T) {
	config := awsfake.Default()
	config.Roles[0].Life = 5 * time.Minute
	p := newPlace(t, config)
	p.environmentKeys()
	now := time.Now()
	for _, tt := range []struct {
		roles []string
		want  time.Duration
	}{{nil, 14 * time.Minute}, {[]string{awsfake.AdminRole}, 5 * time.Minute}} {
		tok, _, err := p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: tt.roles}})
		if err != nil {
			t.Fatal(err)
		}
		if off := tok.Expires.Sub(now) - tt.want; off.Abs() > 10*time.Second {
			t.Errorf("%v: expires in %s, want %s", tt.roles, tok.Expires.Sub(now), tt.want)
		}
	}
	t.Setenv("AWS_CREDENTIAL_EXPIRATION", now.Add(-time.Minute).UTC().Format(time.RFC3339))
	_, _, err := p.token(awsissuer.TokenRequest{})
	if err == nil || !strings.HasPrefix(err.Error(), "the credentials of the environment expired 1m") {
		t.Error(err)
	}
}

func TestRoleParameters(t *testing.T) {
	config := awsfake.Default()
	config.Roles = []awsfake.Role{{ARN: awsfake.AdminRole, ExternalID: "ext"}, {ARN: awsfake.NodeRole, Trusts: []string{awsfake.AdminRole}}}
	p := newPlace(t, config)
	p.environmentKeys()
	_, _, err := p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}, SessionName: "me", ExternalID: "ext"}})
	if err != nil {
		t.Fatal(err)
	}
	call := p.fake.Calls("sts:AssumeRole")[0]
	if call.Params["RoleSessionName"] != "me" || call.Params["ExternalId"] != "ext" {
		t.Errorf("%+v", call)
	}
	_, _, err = p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}})
	want := "AWS answers AccessDenied: User: arn:aws:iam::123456789012:user/alice is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/admin. Does the role's trust policy name who asks, and the external id?"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	_, _, err = p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.NodeRole}}})
	if err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("%v", err)
	}
}

// The session's name goes from one role to the next.
func TestForwardSession(t *testing.T) {
	p := newPlace(t, awsfake.Default())
	p.environmentKeys()
	r := awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.NodeRole}, ForwardSession: true}}
	if _, _, err := p.token(r); err != nil {
		t.Fatal(err)
	}
	if got := p.fake.Calls("sts:AssumeRole")[0].Params["RoleSessionName"]; got != "kubecred" {
		t.Errorf("a user has no session, and its name is %q", got)
	}
	p.fake.AddKey(awsfake.Key{
		AccessKeyID: "ASIASESSION", SecretAccessKey: "x", SessionToken: "y", Account: "123456789012",
		ARN: "arn:aws:sts::123456789012:assumed-role/admin/bob@example.com", UserID: "AROA1:bob@example.com",
	})
	t.Setenv("AWS_ACCESS_KEY_ID", "ASIASESSION")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_SESSION_TOKEN", "y")
	if _, _, err := p.token(r); err != nil {
		t.Fatal(err)
	}
	if got := p.fake.Calls("sts:AssumeRole")[1].Params["RoleSessionName"]; got != "bob@example.com" {
		t.Errorf("the session is called %q", got)
	}
}

func TestMFA(t *testing.T) {
	config := awsfake.Default()
	config.Roles = []awsfake.Role{{ARN: awsfake.AdminRole, MFACode: "123456"}}
	p := newPlace(t, config)
	p.file(".aws/config", staticProfile("[profile admin]\nrole_arn = "+awsfake.AdminRole+"\nsource_profile = keys\nmfa_serial = arn:aws:iam::123456789012:mfa/alice\n"))
	r := awsissuer.TokenRequest{Source: awsissuer.Source{Profile: "admin"}}
	_, _, err := p.token(r)
	want := "profile admin wants an MFA code, and nobody can be asked for it. Run it with a terminal (interactiveMode: IfAvailable in the kubeconfig), or get a session first"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	asked := ""
	p.AskMFA = func(_ context.Context, serial string) (string, error) { asked = serial; return "123456", nil }
	if _, _, err = p.token(r); err != nil || asked != "arn:aws:iam::123456789012:mfa/alice" {
		t.Errorf("%q, %v", asked, err)
	}
	p.AskMFA = func(context.Context, string) (string, error) { return "000000", nil }
	if _, _, err = p.token(r); err == nil || !strings.HasPrefix(err.Error(), "AWS answers AccessDenied: MultiFactorAuthentication failed") {
		t.Errorf("%v", err)
	}
}

func TestErrors(t *testing.T) {
	assume := awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}
	tests := []struct {
		name string
		set  func(*place)
		ask  awsissuer.TokenRequest
		want string
	}{
		{"no credentials", func(*place) {}, awsissuer.TokenRequest{}, "no AWS credentials: none in the environment, the profile, a web identity, the container or the instance. Set AWS_PROFILE, log in with 'aws sso login', or give the machine a role"},
		{"no profile", func(*place) {}, awsissuer.TokenRequest{Source: awsissuer.Source{Profile: "gone"}}, `there is no AWS profile "gone". 'aws configure list-profiles' names those there are`},
		{"bad region", (*place).environmentKeys, awsissuer.TokenRequest{Source: awsissuer.Source{Region: "evil.example/"}}, `"evil.example/" is no AWS region`},
		{"SSO login expired", func(p *place) {
			p.file(".aws/config", "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = admin\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-west-1\n")
		}, awsissuer.TokenRequest{Source: awsissuer.Source{Profile: "sso"}}, "the SSO login of profile sso has expired, or there was none. Log in with: aws sso login --profile sso"},
		{"clock behind", func(p *place) {
			p.environmentKeys()
			p.fake.Skew(30 * time.Minute)
			p.fake.Fail(awsfake.Fault{Action: "sts:AssumeRole", Code: "RequestExpired", Message: "Request has expired."})
		}, assume, "AWS refuses the signature, because this machine's clock is "},
		{"throttled", func(p *place) {
			p.environmentKeys()
			p.fake.Fail(awsfake.Fault{Action: "sts:AssumeRole", Code: "RegionDisabledException", Message: "STS is not activated in this region"})
		}, assume, "AWS answers RegionDisabledException: STS is not activated in this region"},
		{"wrong secret", func(p *place) {
			p.environmentKeys()
			p.t.Setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
		}, assume, "AWS answers InvalidClientTokenId: The security token included in the request is invalid.. The access key is unknown to AWS: deleted, or of another partition"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, awsfake.Default())
			tt.set(p)
			_, _, err := p.token(tt.ask)
			var ours *awsissuer.Error
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &ours) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// Retries get a call through what passes by itself.
func TestRetries(t *testing.T) {
	p := newPlace(t, awsfake.Default())
	p.environmentKeys()
	for _, f := range []awsfake.Fault{{Throttle: true}, {Status: 503}, {Reset: true}} {
		f.Action, f.Times = "sts:AssumeRole", 1
		p.fake.Fail(f)
		if _, _, err := p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// A clock that is wrong, where AWS told so: the SDK corrects the signature of its
// calls, and the token carries AWS's time too.
func TestSkewIsCorrected(t *testing.T) {
	p := newPlace(t, awsfake.Default())
	p.environmentKeys()
	p.fake.Skew(3 * time.Minute)
	before := time.Now()
	tok, parsed, err := p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}})
	if err != nil {
		t.Fatal(err)
	}
	if ahead := parsed.Date.Sub(before); ahead < 2*time.Minute {
		t.Errorf("dated %s ahead", ahead)
	}
	if !strings.Contains(tok.Warning, "behind AWS's") {
		t.Errorf("%q", tok.Warning)
	}
}

// Where there is no instance metadata nobody waits for it long.
func TestNoMetadata(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	p := newPlace(t, awsfake.Default())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
	began := time.Now()
	_, _, err = p.token(awsissuer.TokenRequest{})
	if err == nil || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func ExampleEKSToken() {
	w := awsissuer.World{
		Getenv: func(name string) string {
			return map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}[name]
		},
		Now: func() time.Time { return time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC) },
	}
	t, err := awsissuer.EKSToken(context.Background(), w, awsissuer.TokenRequest{ClusterName: "demo"})
	fmt.Println(t.Expires, err)
	// Output: 2026-11-22 04:27:00 +0000 UTC <nil>
}

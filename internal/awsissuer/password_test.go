package awsissuer_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/awsecr"
	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/awsissuer"
)

func TestOthersAreRefused(t *testing.T) {
	p := newPlace(t, awsfake.Default())
	p.environmentKeys()
	for _, host := range []string{"", "evil.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com", "evil.com/123456789012.dkr.ecr.us-east-1.amazonaws.com"} {
		_, err := awsissuer.RegistryPassword(t.Context(), p.World, awsissuer.PasswordRequest{Image: host + "/x"})
		want := `"` + awsecr.ImageHost(host) + `" is no registry of Amazon ECR, so it gets no password. Leave it out of matchImages, or map it with --host where it stands for one`
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if calls := p.fake.Calls(); len(calls) > 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
}

func serviceAccountToken(subject string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(`{"alg":"RS256"}`)) + "." + e([]byte(`{"sub":"`+subject+`"}`)) + "." + e([]byte("sig"))
}

func TestRegistryPassword(t *testing.T) {
	const image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app"
	token := serviceAccountToken("system:serviceaccount:team-a:web")
	config := awsfake.Default()
	config.Roles[0].WebTokens = []string{token}
	annotated := map[string]string{awsissuer.RoleAnnotation: awsfake.AdminRole}
	foreign := map[string]string{awsissuer.RoleAnnotation: "arn:aws:iam::123456789012:role/gone"}
	tests := []struct {
		name  string
		r     awsissuer.PasswordRequest
		set   func(*place)
		calls string
		err   string
		warn  bool
	}{
		{name: "node", r: awsissuer.PasswordRequest{Image: image}, calls: "ecr:GetAuthorizationToken"},
		{name: "public", r: awsissuer.PasswordRequest{Image: "public.ecr.aws/x/y"}, calls: "ecr-public:GetAuthorizationToken"},
		{name: "FIPS and dual-stack host with a configured endpoint", r: awsissuer.PasswordRequest{Image: "123456789012.dkr-ecr-fips.us-east-2.on.aws/x"}, calls: "ecr:GetAuthorizationToken"},
		{name: "role", r: awsissuer.PasswordRequest{Image: image, Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}, calls: "sts:AssumeRole ecr:GetAuthorizationToken"},
		{name: "pod by annotation", r: awsissuer.PasswordRequest{Image: image, Token: token, Annotations: annotated}, calls: "sts:AssumeRoleWithWebIdentity ecr:GetAuthorizationToken"},
		{name: "pod by flag", r: awsissuer.PasswordRequest{Image: image, Token: token, Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}}, calls: "sts:AssumeRoleWithWebIdentity ecr:GetAuthorizationToken"},
		{name: "pod without a role", r: awsissuer.PasswordRequest{Image: image, Token: token}, err: "no role for the service account: it has no annotation eks.amazonaws.com/ecr-role-arn, and no --role-arn is given. Annotate it, list the annotation in tokenAttributes, or take --identity node"},
		{name: "pod whose role is refused", r: awsissuer.PasswordRequest{Image: image, Token: token, Annotations: foreign}, calls: "sts:AssumeRoleWithWebIdentity", err: "AWS answers AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{name: "pod, then node", r: awsissuer.PasswordRequest{Image: image, Token: token, Annotations: foreign, Identity: awsissuer.PodThenNode}, calls: "sts:AssumeRoleWithWebIdentity ecr:GetAuthorizationToken", warn: true},
		{name: "node though there is a pod", r: awsissuer.PasswordRequest{Image: image, Token: token, Annotations: annotated, Identity: awsissuer.Node}, calls: "ecr:GetAuthorizationToken"},
		{name: "pod without a token", r: awsissuer.PasswordRequest{Image: image, Identity: awsissuer.Pod}, err: "--identity pod, and the kubelet sent no service account token. Set tokenAttributes in the provider's config (apiVersion v1)"},
		{name: "denied", r: awsissuer.PasswordRequest{Image: image}, set: func(p *place) {
			p.fake.Fail(awsfake.Fault{Action: "ecr:GetAuthorizationToken", Code: "AccessDeniedException", Message: "no"})
		}, calls: "ecr:GetAuthorizationToken", err: "AWS answers AccessDeniedException: no"},
		{name: "a wrong signature, with the request quoted", r: awsissuer.PasswordRequest{Image: image}, set: func(p *place) {
			p.fake.Fail(awsfake.Fault{
				Action: "ecr:GetAuthorizationToken", Code: "InvalidSignatureException",
				Message: "The signature does not match.\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:S3CRET'\n\nThe String-to-Sign should have been\n'S3CRET'",
			})
		}, calls: "ecr:GetAuthorizationToken", err: "AWS answers InvalidSignatureException: The signature does not match."},
		{name: "throttled for a moment", r: awsissuer.PasswordRequest{Image: image}, set: func(p *place) {
			p.fake.Fail(awsfake.Fault{Action: "ecr:GetAuthorizationToken", Throttle: true, Times: 1})
		}, calls: "ecr:GetAuthorizationToken ecr:GetAuthorizationToken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t, config)
			p.environmentKeys()
			if tt.set != nil {
				tt.set(p)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			got, err := awsissuer.RegistryPassword(ctx, p.World, tt.r)
			var calls []string
			for _, c := range p.fake.Calls() {
				calls = append(calls, c.Action)
				if c.Action == "sts:AssumeRoleWithWebIdentity" && c.Params["RoleSessionName"] != "kubecred-team-a-web" {
					t.Errorf("%+v", c)
				}
			}
			if s := strings.Join(calls, " "); s != tt.calls {
				t.Errorf("calls %q, want %q", s, tt.calls)
			}
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) || strings.Contains(err.Error(), "S3CRET") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Username != "AWS" || got.Password != "ecr-pass" || got.Host != awsecr.ImageHost(tt.r.Image) || (got.Warning != "") != tt.warn {
				t.Errorf("%+v", got)
			}
			if got.Keep < 9*time.Hour || got.Keep > 11*time.Hour {
				t.Errorf("kept for %s", got.Keep)
			}
		})
	}
}

func TestAlias(t *testing.T) {
	p := newPlace(t, awsfake.Default())
	p.environmentKeys()
	a, err := awsecr.ParseAlias("registry.example.com:5000=123456789012.dkr.ecr.eu-central-1.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	got, err := awsissuer.RegistryPassword(t.Context(), p.World, awsissuer.PasswordRequest{Image: "registry.example.com:5000/x", Aliases: []awsecr.Alias{a}})
	if err != nil || got.Host != "registry.example.com:5000" {
		t.Errorf("%+v %v", got, err)
	}
	if c := p.fake.Calls(); len(c) != 1 || c[0].Region != "eu-central-1" {
		t.Errorf("%+v", c)
	}
}

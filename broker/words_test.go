package broker

import (
	"testing"

	"github.com/kubecred/kubecred/credapi"
)

func TestWithoutSecrets(t *testing.T) {
	a := &Ask{
		b:    &Broker{Environ: []string{"AWS_SECRET_ACCESS_KEY=short+but/known", "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token", "HOME=/root/home"}},
		road: imageRoad{wants: credapi.ProviderRequest{ServiceAccountToken: "a.b.c-of-the-pod"}},
	}
	for _, same := range []string{
		"",
		"no AWS credentials: none in the environment, the profile",
		"open /var/run/token: no such file in /root/home",
		"AWS answers ThrottlingException: Rate exceeded",
		"no role for the service account: it has no annotation eks.amazonaws.com/ecr-role-arn, and no --role-arn is given",
		"User: arn:aws:sts::123456789012:assumed-role/a-rather-long-name-of-a-role-in-production/i-0123456789abcdef0 is not authorized",
		`Post "https://api.ecr.eu-west-1.amazonaws.com/": connection refused`,
	} {
		if got := a.withoutSecrets(same); got != same {
			t.Errorf("%s\n got %s", same, got)
		}
	}
	for in, want := range map[string]string{
		"signed with short+but/known by a.b.c-of-the-pod":                            "signed with *** by ***",
		"x-amz-security-token:FwoGZXIv/Y x":                                          "x-amz-security-token=*** x",
		"password: hunter2, token=abc secret= x":                                     "password: *** token=*** secret= ***",
		"the key AKIAIOSFODNN7EXAMPLE and eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln": "the key *** and ***.***.c2ln",
		"got QVdTOmV5SndZWGxzYjJGa0lqb2lTM0JxZERWNGVIUXJRVTlsYVhKNk5rOTNVRlF3UTJOaF": "got ***",
	} {
		if got := a.withoutSecrets(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

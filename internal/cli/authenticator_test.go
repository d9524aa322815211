package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/cli"
)

// startAWS is a stand-in for AWS, and how a command finds it.
func startAWS(t *testing.T) (*awsfake.Server, func(string) string) {
	t.Helper()
	s, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, func(name string) string {
		if name == "AWS_ENDPOINT_URL" {
			return s.URL
		}
		return ""
	}
}

func signToken(t *testing.T, key, secret, cluster string, at time.Time) string {
	t.Helper()
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	token, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: key, SecretAccessKey: secret}, ekstoken.Request{ClusterID: cluster, Endpoint: e, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAuthenticatorVerify(t *testing.T) {
	aws, getenv := startAWS(t)
	mapping := filepath.Join(t.TempDir(), "aws-auth.yaml")
	if err := os.WriteFile(mapping, []byte("- userarn: "+awsfake.UserARN+"\n  username: alice\n  groups: [admins]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now())
	credential, err := json.Marshal(map[string]any{"kind": "ExecCredential", "status": map[string]string{"token": good}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		stdin  string
		fault  awsfake.Fault
		status int
		stdout string // a part of it
		stderr string
	}{
		{"good", []string{"-", "--cluster-id", "demo"}, good + "\n", awsfake.Fault{}, 0, "arn        arn:aws:iam::123456789012:user/alice", ""},
		{"an ExecCredential", []string{"-", "--cluster-id", "demo", "--mapping", mapping}, string(credential), awsfake.Fault{}, 0, "groups     admins", ""},
		{"JSON", []string{good, "--cluster-id", "x", "--cluster-id", "demo", "-o", "json", "--mapping", mapping}, "", awsfake.Fault{}, 0, `"username": "alice"`, ""},
		{"not mapped", []string{"-", "--cluster-id", "demo", "--mapping", "-"}, "", awsfake.Fault{}, 2, "", "kubecred: -: it is empty"},
		{"another cluster", []string{good, "--cluster-id", "stage"}, "", awsfake.Fault{}, 1, "refused: sts.eu-west-1.amazonaws.com: SignatureDoesNotMatch", ""},
		{"old", []string{signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now().Add(-time.Hour)), "--cluster-id", "demo"}, "", awsfake.Fault{}, 1, "expired: the EKS token expired 45m", ""},
		{"malformed", []string{"eyJhbGciOi", "--cluster-id", "demo", "-o", "json"}, "", awsfake.Fault{}, 1, `"kind": "malformed"`, ""},
		{"throttled", []string{good, "--cluster-id", "demo"}, "", awsfake.Fault{Action: "*", Throttle: true}, 2, "", "kubecred: STS could not be asked: sts.eu-west-1.amazonaws.com: Throttling: Rate exceeded"},
		{"no cluster", []string{good}, "", awsfake.Fault{}, 2, "", "kubecred: no cluster id: a token says who somebody is for one cluster only (see --cluster-id, --partition and --region)"},
		{"nothing", []string{"-", "--cluster-id", "demo"}, "", awsfake.Fault{}, 2, "", "kubecred: no token given"},
		{"other JSON", []string{"-", "--cluster-id", "demo"}, "{}", awsfake.Fault{}, 2, "", "kubecred: the JSON is no ExecCredential"},
		{"too much", []string{"-", "--cluster-id", "demo"}, strings.Repeat("x", 70000), awsfake.Fault{}, 2, "", "kubecred: stdin: that is more than a token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			aws.Mend()
			if tt.fault != (awsfake.Fault{}) {
				aws.Fail(tt.fault)
			}
			var stdout, stderr bytes.Buffer
			status := cli.Run(context.Background(), append([]string{"kubecred", "authenticator", "verify"}, tt.args...), cli.World{
				Stdin: strings.NewReader(tt.stdin), Stdout: &stdout, Stderr: &stderr, Getenv: getenv, Now: time.Now,
			})
			if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.HasPrefix(stderr.String(), tt.stderr) {
				t.Errorf("status %d, stdout\n%s\nstderr\n%s", status, stdout.String(), stderr.String())
			}
			if all := stdout.String() + stderr.String(); strings.Contains(all, "X-Amz-Signature") || strings.Contains(all, good[20:]) {
				t.Errorf("the token is shown:\n%s", all)
			}
		})
	}
}

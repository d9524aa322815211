package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/ekstoken"
)

// testWorld is a machine with keys in the environment.
func testWorld(env map[string]string) (world, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	all := map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_REGION": "eu-west-1"}
	for name, value := range env {
		all[name] = value
	}
	return world{
		stdout: &out, stderr: &errs, getenv: func(name string) string { return all[name] },
		now: func() time.Time { return time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC) },
	}, &out, &errs
}

// It drops in for the commands that people have in their kubeconfigs.
func TestDropIn(t *testing.T) {
	const info = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}`
	want := ""
	for _, line := range []string{
		"token --cluster-name demo",
		"token -i demo",
		"token --cluster-id=demo",
		"--region eu-west-1 eks get-token --cluster-name demo --output json",
		"eks get-token --cluster-name demo --region eu-west-1 --no-cli-pager",
		"token --cluster-name other --cluster-id demo",
		"token -idemo",
		"token -i=demo",
		"--cluster-id demo token",
		"token --cluster-id demo --region eu-west-1 --log-format json -v debug --feature-gates X=true --token-only=false",
		"--debug --color off eks get-token --cluster-name demo --no-paginate --cli-read-timeout 5 --cli-connect-timeout=5",
	} {
		w, out, errs := testWorld(map[string]string{credapi.ExecInfoEnv: info})
		if code := run(t.Context(), strings.Fields(line), w); code != 0 {
			t.Fatalf("%s: %d %s", line, code, errs)
		}
		if want == "" {
			want = out.String()
		}
		if out.String() != want {
			t.Errorf("%s: %s", line, out)
		}
	}
	c, err := credapi.ParseExecCredential([]byte(want))
	if err != nil || c.APIVersion != credapi.ExecV1 || c.Expiration.Format(time.TimeOnly) != "04:27:00" {
		t.Fatalf("%s %v", want, err)
	}
	if _, err := ekstoken.Parse(c.Token); err != nil {
		t.Error(err)
	}

	w, out, _ := testWorld(nil)
	if run(t.Context(), []string{"token", "-i", "demo", "--token-only"}, w); strings.TrimSpace(out.String()) != c.Token {
		t.Errorf("%s", out)
	}
	w, out, _ = testWorld(nil) // as scripts have the AWS CLI print it
	if run(t.Context(), strings.Fields("eks get-token --cluster-name demo --query status.token --output text"), w); strings.TrimSpace(out.String()) != c.Token {
		t.Errorf("%s", out)
	}
	w, out, errs := testWorld(nil)
	run(t.Context(), strings.Fields("token -i demo --cache --token-only"), w)
	if said := "kubecred-aws: --cache keeps nothing here: put 'kubecred-exec client --' before the command, which keeps the token itself\n"; strings.TrimSpace(out.String()) != c.Token || errs.String() != said {
		t.Errorf("%s%s", out, errs)
	}
	w, out, _ = testWorld(nil) // a client that says nothing
	if run(t.Context(), []string{"token", "-i", "demo"}, w); !strings.Contains(out.String(), `"apiVersion":"client.authentication.k8s.io/v1beta1"`) {
		t.Errorf("%s", out)
	}
}

func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"":                                      "want token or get-credentials (kubecred-aws --help says more)",
		"tokens":                                `"tokens" is none of token, get-credentials, version, help`,
		"token":                                 "no cluster: give --cluster-name NAME",
		"token --cluster demo":                  "unknown flag: --cluster (kubecred-aws --help says more)",
		"token -i demo --output text":           `--output "text": clients read json only`,
		"token -i demo --query status":          "--query is not for kubecred-aws; --token-only prints the token alone",
		"token -i demo --region":                "flag needs an argument: --region (kubecred-aws --help says more)",
		"token -i demo -x":                      `unknown shorthand flag: "-x" (kubecred-aws --help says more)`,
		"token -i demo --endpoint-url http://x": "--endpoint-url: set AWS_ENDPOINT_URL_STS, or endpoint_url in the profile",
		"token -i demo --no-verify-ssl":         "--no-verify-ssl: certificates are always checked; AWS_CA_BUNDLE names further ones",
		"token -i demo --token-only=maybe":      `--token-only="maybe": want true or false`,
		"token -i demo --role arn:aws:iam::123456789012:role/x --forward-session-name -s y": "give --forward-session-name or --session-name, not both",
		"token -i demo -s me":                    "--session-name and --external-id belong to --role-arn, which is not given",
		"token -i demo --role admin":             `--role-arn "admin" is no role's ARN, want arn:aws:iam::ACCOUNT:role/NAME`,
		"token -i demo --region moon":            `"moon" is no AWS region`,
		"token --cluster-name=a\u00e9 -i \u00e9": "a cluster name is wanted, without spaces and in ASCII",
	} {
		w, out, errs := testWorld(nil)
		code := run(t.Context(), strings.Fields(line), w)
		if code != 2 || out.Len() > 0 || errs.String() != "kubecred-aws: "+want+"\n" {
			t.Errorf("%q: %d %s%s", line, code, out, errs)
		}
	}
	w, _, errs := testWorld(map[string]string{credapi.ExecInfoEnv: "{"})
	if code := run(t.Context(), []string{"token", "-i", "demo"}, w); code != 2 || errs.String() != "kubecred-aws: KUBERNETES_EXEC_INFO: not valid JSON: it ends too early\n" {
		t.Errorf("%d %s", code, errs)
	}
	for _, line := range []string{"--help", "token -h", "help"} {
		w, out, _ := testWorld(nil)
		if code := run(t.Context(), strings.Fields(line), w); code != 0 || !strings.Contains(out.String(), "usage:") {
			t.Errorf("%q: %d %s", line, code, out)
		}
	}
}

func TestAskMFA(t *testing.T) {
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, _, errs := testWorld(nil)
	w.stdin = r
	if _, err := wr.WriteString(" 123456 \n"); err != nil {
		t.Fatal(err)
	}
	if code, err := w.askMFA(t.Context(), "arn:mfa"); code != "123456" || err != nil || errs.String() != "MFA code for arn:mfa: " {
		t.Errorf("%q %v %q", code, err, errs)
	}
	_ = wr.Close()
	if _, err := w.askMFA(t.Context(), ""); err == nil {
		t.Error("no code is a code")
	}
}

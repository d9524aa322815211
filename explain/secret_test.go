package explain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/finding"
)

// secrets are what must never come back, and the shapes in which people paste
// them; %s is the secret.
var secretPastes = []struct{ shape, secret string }{
	{"authorization: Bearer %s", "abcdefghij0123456789ABCDEFGHIJ"},
	{"AWS_SECRET_ACCESS_KEY=%s", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"},
	{"export AWS_SESSION_TOKEN=%s", "FwoGZXIvYXdzEBYaDKlongsessiontokenABCDEF0123"},
	{"aws_secret_access_key = %s", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	{"users:\n- name: u\n  user:\n    token: %s\n", "s3cr3tstatictoken0123456789"},
	{"users:\n- name: u\n  user:\n    username: bob\n    password: %s\n", "hunter2hunter2"},
	{"    client-key-data: %s", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB"},
	{`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","auth":{"r.example.com":{"username":"AWS","password":"%s"}}}`, "ZXlKd1lYbHNiMkZr0123456789"},
	{`{"auths":{"https://index.docker.io/v1/":{"auth":"%s"}}}`, "dXNlcjpwYXNzd29yZDEyMzQ1Njc4"},
	{"https://bob:%s@registry.example.com/v2/", "p4ssw0rdinurl"},
	{"X-Amz-Signature=%s", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
	{"X-Amz-Security-Token=%s&X-Amz-Date=20261122T040000Z", "IQoJb3JpZ2luX2VjEABCDEF"},
	{`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{},"status":{"token":"%s"}}`, "k8s-aws-v1.aHR0cHM6Ly9zdHMuZXhhbXBsZQ"},
	{"kubelogin get-token --client-secret=%s", "Q~secretofaserviceprincipal0123"},
	{"oidc-client-secret: %s", "0a1b2c3d4e5f6071"},
	{"docker login -p %s r.example.com", "correcthorsebattery"},
	{"users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1alpha1\n      command: doctl\n      args: [kubernetes, cluster, kubeconfig, exec-credential, --access-token, %s]\n", "opaque0123456789abcdef"},
	{"users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1alpha1\n      command: doctl\n      args:\n      - --access-token\n      - %s\n", "opaque0123456789abcdef"},
	{"users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: aws\n      env:\n      - name: AWS_SECRET_ACCESS_KEY\n        value: %s\n", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	{`env: [{"name": "DIGITALOCEAN_ACCESS_TOKEN", "value": "%s"}]`, "opaque0123456789abcdef"},
	{"my key is %s", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	{"AKIAIOSFODNN7EXAMPLE,%s", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	{"%s", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	{"the session is %s", "IQoJb3JpZ2luX2VjEABCDEF0123456789"},
	{"doctl auth init -t %s", "dop_v1_0123456789abcdef0123456789abcdef"},
}

// faults go beside a secret, so that there is something to explain.
var faults = []string{
	"error: You must be logged in to the server (Unauthorized)",
	"Unable to connect to the server: getting credentials: exec: executable aws failed with exit code 255",
	"failed to authorize: failed to fetch anonymous token: 401 Unauthorized",
	"apiVersion: client.authentication.k8s.io/v1alpha1",
	"",
}

// everything is all that an answer says.
func everything(t testing.TB, a Answer) string {
	out, err := json.Marshal(struct {
		R finding.Report
		P []Piece
		C []Cause
		A []string
	}{a.Report(), a.Pieces, a.Causes, a.Add})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestSecretsNeverComeBack(t *testing.T) {
	for _, s := range secretPastes {
		for _, fault := range faults {
			for _, paste := range []string{
				fmt.Sprintf(s.shape, s.secret) + "\n" + fault,
				fault + "\n" + fmt.Sprintf(s.shape, s.secret),
				fault + " " + strings.ReplaceAll(fmt.Sprintf(s.shape, s.secret), "\n", " "),
			} {
				if got := everything(t, judge(t, paste)); strings.Contains(got, s.secret) {
					i := strings.Index(got, s.secret)
					t.Errorf("%q comes back: ...%s", paste, got[max(0, i-120):i+20])
				}
				if got := NewRedactor().Redact(paste); strings.Contains(got, s.secret) {
					t.Errorf("--redact leaves it: %q", got)
				}
			}
		}
	}
}

func TestTokensNeverComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sub := rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "account")
		token := jwt(`{"iss":"https://x","sub":"system:serviceaccount:ns:` + sub + `","exp":1700003600,"iat":1700000000,"kubernetes.io":{"namespace":"ns","pod":{"name":"p"},"serviceaccount":{"name":"` + sub + `"}}}`)
		before := rapid.SampledFrom([]string{"", "token: ", "Authorization: Bearer ", `"token":"`, "--token=", "export TOKEN=", "curl -H 'x: "}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", `"`, "'", " # mine", "..."}).Draw(t, "after")
		text, err := NewText("input", before+token+after)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(token, ".")
		a := Judge([]*Text{text}, Options{Now: now})
		out, err := json.Marshal([]any{a.Report(), a.Pieces, a.Causes})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts[1:] {
			if strings.Contains(string(out), part) {
				t.Fatalf("a part of %q comes back", text.Lines)
			}
		}
	})
}

// TestRedactedSaysTheSame explains every report again after --redact, and wants
// the same first cause: what is replaced decides nothing.
func TestRedactedSaysTheSame(t *testing.T) {
	for _, r := range readReports(t) {
		if strings.Contains(r.Input.Text, "eyJ") || strings.Contains(r.Input.Text, "k8s-aws-v1.") {
			continue // what a token says goes with the token
		}
		red := NewRedactor()
		var inputs []string
		for _, in := range r.inputs()["one by one"] {
			inputs = append(inputs, red.Redact(in))
		}
		want, got := r.answer(t), judge(t, inputs...)
		if len(got.Causes) == 0 || got.Causes[0].Rule != want.Causes[0].Rule {
			t.Errorf("%s: redacted, it is no longer %s: %q", r.ID, want.Causes[0].Rule, inputs)
		}
	}
}

func TestRedactorIsConsistent(t *testing.T) {
	r := NewRedactor()
	got := r.Redact("arn:aws:iam::111122223333:role/a 444455556666.dkr.ecr.eu-west-1.amazonaws.com/x https://kube.corp.example.org 10.1.2.3 bob@corp.example.org")
	if got, want := r.Redact("https://my.azurecr.io/v2 my.azurecr.io/app:1"), "https://host-2.azurecr.io/v2 host-2.azurecr.io/app:1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	again := r.Redact("10.1.2.3 kube.corp.example.org arn:aws:sts::111122223333:assumed-role/a/bob@corp.example.org 444455556666")
	wantFirst := "arn:aws:iam::000000000001:role/a 000000000002.dkr.ecr.eu-west-1.amazonaws.com/x https://host-1.example.com 192.0.2.1 person-1@example.com"
	wantAgain := "192.0.2.1 host-1.example.com arn:aws:sts::000000000001:assumed-role/a/person-1@example.com 000000000002"
	if got != wantFirst || again != wantAgain {
		t.Errorf("got  %q\n     %q\nwant %q\n     %q", got, again, wantFirst, wantAgain)
	}
}

//go:build unix

// Package exec holds the credential plugins against the programs of others:
// client-go as a client that lives long, and aws-iam-authenticator's verifier.
package exec

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// build makes one of the project's programs.
func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// apiServer is as much of an API server as a client needs that lists namespaces:
// it takes the tokens that it is told to.
type apiServer struct {
	*httptest.Server
	mu       sync.Mutex
	accepted map[string]bool
	refused  int
}

func newAPIServer(t *testing.T) *apiServer {
	s := &apiServer{accepted: map[string]bool{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		ok := s.accepted[token]
		if !ok {
			s.refused++
		}
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonUnauthorized, Code: 401})
			return
		}
		fmt.Fprint(w, `{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[]}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) set(token string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[token] = ok
}

// issuer writes a script that counts its runs and answers with token-N, which the
// server takes from then on.
func issuer(t *testing.T, version string, life time.Duration) (path, runs string) {
	t.Helper()
	dir := t.TempDir()
	path, runs = filepath.Join(dir, "issuer"), filepath.Join(dir, "runs")
	script := `#!/bin/sh
echo run >> ` + runs + `
n=$(wc -l < ` + runs + `)
case "$KUBERNETES_EXEC_INFO" in
*/` + version + `'"'*) ;;
*) echo "I speak apiVersion ` + version + ` only" >&2; exit 1 ;;
esac
printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/` + version + `","status":{"token":"token-%d","expirationTimestamp":"%s"}}' $n $(date -u -d '+` + fmt.Sprintf("%.0f", life.Seconds()) + ` seconds' +%Y-%m-%dT%H:%M:%SZ)
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, runs
}

func lines(t *testing.T, name string) int {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	return strings.Count(string(data), "\n")
}

// A client that lives long goes through an expiry, of which it knows, and a
// refusal, of which it learns by a 401. The cache must follow it in both.
func TestLongLivedClient(t *testing.T) {
	if err := exec.Command("date", "-u", "-d", "+1 seconds").Run(); err != nil {
		t.Skip("the issuer needs GNU date: ", err)
	}
	broker := build(t, "kubecred-exec")
	server := newAPIServer(t)
	plugin, runs := issuer(t, "v1", 5*time.Second)
	config := &rest.Config{
		Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ExecProvider: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
			Command: broker, Args: []string{"client", "--", plugin},
			Env: []clientcmdapi.ExecEnvVar{{Name: "XDG_CACHE_HOME", Value: t.TempDir()}},
		},
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		return err
	}
	for i := range 4 {
		server.set(fmt.Sprintf("token-%d", i+1), true)
	}
	for range 3 {
		if err := list(); err != nil {
			t.Fatal(err)
		}
	}
	if n := lines(t, runs); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	// Refused before its end: one call fails, as client-go has it, the next works.
	server.set("token-1", false)
	if err := list(); err == nil {
		t.Error("the refused token was accepted")
	}
	if err := list(); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
	if n := lines(t, runs); n != 2 {
		t.Errorf("%d runs, want 2", n)
	}
	// Expired: the client asks anew by itself, and gets a new one.
	refused := server.refused
	// The client reads the real clock, so there is nothing to do but ask until
	// then, as its user would.
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for lines(t, runs) < 3 && ctx.Err() == nil {
		if err := list(); err != nil {
			t.Fatalf("around the expiry: %v", err)
		}
		<-tick.C
	}
	if n := lines(t, runs); n != 3 || server.refused != refused {
		t.Errorf("%d runs, want 3; %d refusals around the expiry", n, server.refused-refused)
	}
}

// kubectl of today asks in v1 or v1beta1, and the plugin speaks v1alpha1 only.
func TestOldPluginNewKubectl(t *testing.T) {
	if err := exec.Command("date", "-u", "-d", "+1 seconds").Run(); err != nil {
		t.Skip("the issuer needs GNU date: ", err)
	}
	kubectl, err := lab.Program(t.Context(), "kubectl", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	broker := build(t, "kubecred-exec")
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			server := newAPIServer(t)
			plugin, runs := issuer(t, "v1alpha1", time.Hour)
			for i := range 4 {
				server.set(fmt.Sprintf("token-%d", i+1), true)
			}
			config := filepath.Join(t.TempDir(), "config")
			text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/%s
      interactiveMode: Never
      command: %s
      args: [client, --, %s]
      env: [{name: XDG_CACHE_HOME, value: %s}]
`, server.URL, version, broker, plugin, t.TempDir())
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				out, err := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", config, "get", "--raw", "/api/v1/namespaces").CombinedOutput()
				if err != nil || !strings.Contains(string(out), "NamespaceList") {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			// Asked in the newer versions first, then in the one that it speaks.
			want := map[string]int{"v1": 3, "v1beta1": 2}[version]
			if n := lines(t, runs); n != want {
				t.Errorf("%d runs, want %d", n, want)
			}
		})
	}
}

// Tokens of kubecred-aws, and of the AWS CLI where it is installed, are genuine
// to aws-iam-authenticator's own verifier, and to kubecred inspect.
func TestVerifier(t *testing.T) {
	verifier, err := lab.Program(t.Context(), "aws-iam-authenticator", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	fake, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	proxy, err := fake.StartProxy()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, proxy.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	issuer, inspector := build(t, "kubecred-aws"), build(t, "kubecred")
	// Without a profile, a home or a proxy of the machine's own.
	env := append(fake.Env(), "HOME="+dir, "PATH="+os.Getenv("PATH"), "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret)
	run := func(env []string, stdin string, args ...string) (string, error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s%s", args[0], err, out, errs.String())
		}
		return string(out), err
	}
	sources := map[string][]string{
		"kubecred-aws":                    {issuer, "token", "--cluster-name", "demo"},
		"kubecred-aws with a role":        {issuer, "token", "--cluster-name", "demo", "--role-arn", awsfake.AdminRole, "--session-name", "tester"},
		"kubecred-aws in the CLI's words": {issuer, "--region", "eu-west-1", "eks", "get-token", "--cluster-name", "demo", "--output", "json"},
	}
	if aws, err := exec.LookPath("aws"); err == nil {
		sources["AWS CLI"] = []string{aws, "eks", "get-token", "--cluster-name", "demo", "--output", "json"}
	} else {
		t.Log("the AWS CLI is not installed, so its tokens are not compared")
	}
	for name, command := range sources {
		t.Run(name, func(t *testing.T) {
			asking := env
			if name == "AWS CLI" { // it puts a configured endpoint into the token, which no server takes
				asking = append([]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}, env...)
			}
			answer, err := run(asking, "", command...)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ Status struct{ Token string } }
			if err := json.Unmarshal([]byte(answer), &doc); err != nil {
				t.Fatal(err)
			}
			verify := append(env, "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+ca)
			out, err := run(verify, "", verifier, "verify", "-i", "demo", "-t", doc.Status.Token, "-o", "json")
			if err != nil {
				t.Fatal(err)
			}
			want := awsfake.UserARN
			if strings.Contains(name, "role") {
				want = "arn:aws:sts::123456789012:assumed-role/admin/tester"
			}
			if !strings.Contains(out, want) {
				t.Errorf("%s\nwant %s", out, want)
			}
			if _, err := run(verify, "", verifier, "verify", "-i", "other", "-t", doc.Status.Token); err == nil {
				t.Error("it is genuine for another cluster")
			}
			seen, err := run(env, answer, inspector, "inspect", "-")
			if err != nil || !strings.Contains(seen, "Nothing wrong with it.") || !strings.Contains(seen, "eu-west-1") {
				t.Errorf("%v\n%s", err, seen)
			}
		})
	}
}

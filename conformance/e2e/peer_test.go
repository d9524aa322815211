//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/conformance/wait"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// peerConfig is a config file that both servers read. The peer resolves
// overlaps by chance, so there is none.
const peerConfig = `clusterID: demo
server:
  mapRoles:
  - roleARN: arn:aws:iam::123456789012:role/Admin
    username: admin:{{SessionName}}
    groups: [system:masters, "raw-{{SessionNameRaw}}", "key-{{AccessKeyID}}", "account-{{AccountID}}"]
  - roleARN: arn:aws:iam::123456789012:role/team/path
    username: path
    groups: [x]
  - roleARN: arn:aws:sts::123456789012:assumed-role/session/whoever
    username: session
    groups: x,y
  - roleARN: arn:aws:iam::123456789012:role/node
    username: system:node:{{EC2PrivateDNSName}}
    groups: [system:nodes]
  - roleARN: arn:aws:iam::123456789012:role/reserved
    username: aws:{{SessionName}}
  - sso: {permissionSetName: View, accountID: "123456789012"}
    username: sso:{{SessionName}}
    groups: [view]
  - roleARN: arn:aws:iam::123456789012:role/nobody
  mapUsers:
  - userARN: arn:aws:iam::123456789012:user/Alice
    username: alice
    groups: [devs]
  - userARN: arn:aws:sts::123456789012:federated-user/fred
    username: fred
  mapAccounts: ["999999999999"]
  reservedPrefixConfig:
  - backendMode: MountedFile
    usernamePrefixReserveList: ["aws:"]
`

// TestPeer asks kubecred's server and aws-iam-authenticator's about the same
// tokens with the same config file, before the same stand-in for STS.
func TestPeer(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	peer := must[string](t)(shared.Program(ctx, "aws-iam-authenticator"))
	own := must[string](t)(shared.Kubecred(ctx, "kubecred"))
	aws := must[*awsfake.Server](t)(awsfake.Start(awsfake.Default()))
	t.Cleanup(func() { _ = aws.Close() })
	proxy := must[*awsfake.Proxy](t)(aws.StartProxy())
	dir := t.TempDir()
	config, ca := file(t, "config.yaml", peerConfig), file(t, "ca.pem", string(proxy.CA))
	env := append(os.Environ(), "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+ca, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-west-1")
	ownURL := startServer(ctx, t, env, own, func(port string) []string {
		return []string{"authenticator", "serve", "--config", config, "--state-dir", filepath.Join(dir, "own"), "--address", "127.0.0.1:" + port}
	})
	peerURL := startServer(ctx, t, env, peer, func(port string) []string {
		state := filepath.Join(dir, "peer")
		if err := os.MkdirAll(state, 0o700); err != nil {
			t.Fatal(err)
		}
		return []string{"server", "--config", config, "--state-dir", state, "--generate-kubeconfig", filepath.Join(state, "kubeconfig"), "--port", port, "--feature-gates", "SSORoleMatch=true"}
	})
	tests := []struct {
		name, arn, id string
		// meant is why kubecred answers another way, "" where it must not.
		meant string
	}{
		{"a role", "arn:aws:sts::123456789012:assumed-role/Admin/bob@example.com", "AROA1:bob@example.com", ""},
		{"a role in another case", "arn:aws:sts::123456789012:assumed-role/ADMIN/bob", "AROA1:bob", ""},
		{"a session named like a placeholder", "arn:aws:sts::123456789012:assumed-role/Admin/{{AccessKeyID}}", "AROA1:{{AccessKeyID}}", "templates are filled in in one pass"},
		{"a user", "arn:aws:iam::123456789012:user/alice", "AIDA1", ""},
		{"a federated user", "arn:aws:sts::123456789012:federated-user/fred", "123456789012:fred", ""},
		{"a role that is mapped with its path", "arn:aws:sts::123456789012:assumed-role/path/s", "AROA2:s", ""},
		{"a role that is mapped by a session", "arn:aws:sts::123456789012:assumed-role/session/other", "AROA3:other", ""},
		{"a node that is none", "arn:aws:sts::123456789012:assumed-role/node/alice", "AROA4:alice", ""},
		{"a reserved name", "arn:aws:sts::123456789012:assumed-role/reserved/s", "AROA5:s", ""},
		{"a permission set", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_View_0123456789abcdef/s", "AROA6:s", ""},
		{"another permission set", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_View_Only_0123456789abcdef/s", "AROA7:s", "the permission set View does not take the roles of View_Only"},
		{"an entry with nothing", "arn:aws:sts::123456789012:assumed-role/nobody/s", "AROA8:s", ""},
		{"a mapped account", "arn:aws:sts::999999999999:assumed-role/Any/s", "AROA9:s", ""},
		{"a user of a mapped account", "arn:aws:iam::999999999999:user/any", "AIDA9", ""},
		{"root", "arn:aws:iam::123456789012:root", "123456789012", ""},
		{"nobody", "arn:aws:sts::123456789012:assumed-role/unknown/s", "AROA10:s", ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := fmt.Sprintf("ASIA%016d", i)
			aws.AddKey(awsfake.Key{AccessKeyID: key, SecretAccessKey: "secret", SessionToken: "token", Account: strings.Split(tt.arn, ":")[4], ARN: tt.arn, UserID: tt.id})
			token := signFor(t, ekstoken.Credentials{AccessKeyID: key, SecretAccessKey: "secret", SessionToken: "token"}, "demo", time.Now())
			diff := cmp.Diff(reviewAt(ctx, t, peerURL, token), reviewAt(ctx, t, ownURL, token))
			if (diff != "") != (tt.meant != "") {
				t.Errorf("the answers (-peer +kubecred), meant: %q\n%s", tt.meant, diff)
			}
		})
	}
	alice := ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}
	for name, token := range map[string]string{
		"nothing": "", "a word": "hello", "a prefix": "k8s-aws-v1.", "another cluster": signFor(t, alice, "other", time.Now()),
		"old": signFor(t, alice, "demo", time.Now().Add(-16*time.Minute)), "changed": signFor(t, alice, "demo", time.Now()) + "x",
		"another's secret": signFor(t, ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: "x"}, "demo", time.Now()),
	} {
		t.Run(name, func(t *testing.T) {
			for _, url := range []string{peerURL, ownURL} {
				if got := reviewAt(ctx, t, url, token); got.Authenticated {
					t.Errorf("%s lets it in: %+v", url, got)
				}
			}
		})
	}
}

func signFor(t *testing.T, c ekstoken.Credentials, cluster string, at time.Time) string {
	t.Helper()
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	return must[string](t)(ekstoken.Sign(c, ekstoken.Request{ClusterID: cluster, Endpoint: e, Time: at}))
}

type decision struct {
	Authenticated bool
	User          struct {
		Username, UID string
		Groups        []string
		Extra         map[string][]string
	}
}

// reviewAt asks in v1beta1, which both speak. The peer answers a refusal with
// 403 and kubecred with 200; what counts here is the decision.
func reviewAt(ctx context.Context, t *testing.T, url, token string) decision {
	t.Helper()
	body := must[[]byte](t)(json.Marshal(map[string]any{"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "spec": map[string]string{"token": token}}))
	req := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body)))
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res := must[*http.Response](t)(client.Do(req))
	defer res.Body.Close()
	data := must[[]byte](t)(io.ReadAll(io.LimitReader(res.Body, 1<<20)))
	var r struct{ Status decision }
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%s: %s %s", url, res.Status, data)
	}
	if r.Status.User.Groups == nil {
		r.Status.User.Groups = []string{}
	}
	slices.Sort(r.Status.User.Groups)
	return r.Status
}

// startServer runs a server until the test ends and returns its address.
func startServer(ctx context.Context, t *testing.T, env []string, program string, args func(port string) []string) string {
	t.Helper()
	url, _ := startProgram(ctx, t, env, program, args)
	return url
}

// startProgram is startServer with the process's id.
func startProgram(ctx context.Context, t *testing.T, env []string, program string, args func(port string) []string) (string, int) {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	cmd := exec.Command(program, args(port)...)
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &log, &log, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(program), log.String())
		}
	})
	if err := wait.Listens(ctx, "127.0.0.1:"+port); err != nil {
		t.Fatalf("%s does not listen: %v\n%s", program, err, log.String())
	}
	return "https://127.0.0.1:" + port + "/authenticate", cmd.Process.Pid
}

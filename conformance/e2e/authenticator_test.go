//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/conformance/wait"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// webhookWorld is a control plane that asks kubecred's webhook who an EKS token
// is, with a stand-in for STS behind it.
type webhookWorld struct {
	*lab.Lab
	dir, address string
	aws          *awsfake.Server
	config       string        // kubeconfig of an IAM user
	log          *lockedBuffer // of the webhook that was started last
}

// newWebhookWorld starts all but the webhook itself.
func newWebhookWorld(ctx context.Context, t *testing.T, version string) *webhookWorld {
	t.Helper()
	return newWebhookWorldWith(ctx, t, version, lab.Options{})
}

func newWebhookWorldWith(ctx context.Context, t *testing.T, version string, opts lab.Options) *webhookWorld {
	t.Helper()
	w := &webhookWorld{dir: t.TempDir()}
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	w.address = l.Addr().String()
	_ = l.Close()
	w.aws = must[*awsfake.Server](t)(awsfake.Start(awsfake.Default()))
	t.Cleanup(func() { _ = w.aws.Close() })
	wantStatus(t, kubecred(t, "authenticator", "init", "--dir", w.dir, "--cluster-id", "demo", "--address", w.address, "--image", webhookImage), 0)
	var err error
	opts.TokenWebhook = filepath.Join(w.dir, "kubeconfig.yaml")
	// The last of two equal flags counts; without the cache a changed mapping shows at once.
	opts.APIServerArgs = []string{"--authentication-token-webhook-version", version, "--authentication-token-webhook-cache-ttl", "0s"}
	w.Lab, err = lab.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			w.KeepLogs()
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	broker := must[string](t)(shared.Kubecred(ctx, "kubecred-exec"))
	issuer := must[string](t)(shared.Kubecred(ctx, "kubecred-aws"))
	w.config = must[string](t)(w.Kubeconfig("alice", &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		Command: broker, Args: []string{"client", "--", issuer, "token", "--cluster-name", "demo", "--region", "eu-west-1"},
		Env: []clientcmdapi.ExecEnvVar{
			{Name: "AWS_ACCESS_KEY_ID", Value: awsfake.UserKey}, {Name: "AWS_SECRET_ACCESS_KEY", Value: awsfake.UserSecret},
			{Name: "AWS_ENDPOINT_URL", Value: w.aws.URL}, {Name: "AWS_EC2_METADATA_DISABLED", Value: "true"},
			{Name: "XDG_CACHE_HOME", Value: w.dir},
		},
	}}))
	return w
}

// serve starts the webhook and waits until it is ready; what it returns ends
// it, as Kubernetes does.
func (w *webhookWorld) serve(ctx context.Context, t *testing.T, args ...string) func() {
	t.Helper()
	program := must[string](t)(shared.Kubecred(ctx, "kubecred"))
	cmd := exec.Command(program, append([]string{
		"authenticator", "serve", "--cluster-id", "demo", "--address", w.address, "--reuse-port",
		"--tls-cert", filepath.Join(w.dir, "cert.pem"), "--tls-key", filepath.Join(w.dir, "key.pem"), "--kubeconfig", w.AdminKubeconfig,
	}, args...)...)
	log := &lockedBuffer{}
	w.log, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+w.aws.URL, "AWS_EC2_METADATA_DISABLED=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	end := func() {
		if ended.Swap(true) {
			return
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the webhook: %v\n%s", err, log.String())
		}
		if t.Failed() {
			t.Logf("the webhook's log:\n%s", log.String())
		}
	}
	t.Cleanup(end)
	listening := func() bool { return strings.Contains(log.String(), `"msg":"listening"`) }
	err := wait.Until(ctx, 20*time.Millisecond, func() bool { return listening() || ended.Load() })
	if err != nil || !listening() {
		t.Fatalf("the webhook does not listen: %v\n%s", err, log.String())
	}
	return end
}

// auth writes aws-auth.
func (w *webhookWorld) auth(ctx context.Context, t *testing.T, mapUsers string) {
	t.Helper()
	maps := w.Admin.CoreV1().ConfigMaps("kube-system")
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "aws-auth", Namespace: "kube-system"}, Data: map[string]string{"mapUsers": mapUsers}}
	_, err := maps.Update(ctx, cm, metav1.UpdateOptions{})
	if err != nil {
		_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// whoami is what the real kubectl says.
func (w *webhookWorld) whoami(ctx context.Context, t *testing.T) (string, lab.Output) {
	t.Helper()
	out := must[lab.Output](t)(w.RunKubectl(ctx, w.config, "auth", "whoami", "-o", "json"))
	var r struct {
		Status struct {
			UserInfo struct {
				Username string
				Groups   []string
			}
		}
	}
	_ = json.Unmarshal([]byte(out.Stdout), &r)
	slices.Sort(r.Status.UserInfo.Groups)
	return r.Status.UserInfo.Username + " " + strings.Join(r.Status.UserInfo.Groups, ","), out
}

// until asks until the answer is the wanted one: a change reaches the webhook
// by a watch.
func (w *webhookWorld) until(ctx context.Context, t *testing.T, want string) {
	t.Helper()
	var got string
	var out lab.Output
	if wait.Until(ctx, 100*time.Millisecond, func() bool { got, out = w.whoami(ctx, t); return got == want }) != nil {
		t.Fatalf("it is %q and not %q\n%s", got, want, out)
	}
}

const aliceEntry = "- userarn: " + awsfake.UserARN + "\n  username: alice\n  groups: [%s]\n"

// TestWebhook follows a login from kubectl through exec plugin, API server,
// webhook and STS to RBAC, in both versions of TokenReview.
func TestWebhook(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			ctx := within(t, 3*time.Minute)
			w := newWebhookWorld(ctx, t, version)
			w.auth(ctx, t, fmt.Sprintf(aliceEntry, "devs"))
			w.serve(ctx, t, "--mapping", "configmap://kube-system/aws-auth")
			w.until(ctx, t, "alice devs,system:authenticated")
			if version != "v1" {
				return
			}
			// RBAC decides by the mapped group.
			out := must[lab.Output](t)(w.RunKubectl(ctx, w.config, "get", "namespaces"))
			wantStatus(t, out, 1)
			wantText(t, out.Stderr, `User "alice" cannot list resource "namespaces"`)
			_, err := w.Admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "devs"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: lab.Reader},
				Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: "rbac.authorization.k8s.io", Name: "devs"}},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for ctx.Err() == nil {
				if out = must[lab.Output](t)(w.RunKubectl(ctx, w.config, "get", "namespaces", "-o", "name")); out.Status == 0 {
					break
				}
			}
			wantText(t, out.Stdout, "namespace/kube-system")
			explained := kubecred(t, "authenticator", "explain", awsfake.UserARN, "--mapping", "configmap://kube-system/aws-auth", "--kubeconfig", w.AdminKubeconfig)
			wantStatus(t, explained, 0)
			wantText(t, explained.Stdout, "alice", "devs", "configmap://kube-system/aws-auth:4")

			explained = kubecred(t, "authenticator", "explain", awsfake.UserARN, "--mapping", "configmap://kube-system/aws-auth", "--kubeconfig", w.AdminKubeconfig,
				"--cluster", "--can-i", "list/pods", "--can-i", "create/deployments.apps@default")
			wantText(t, explained.Stdout, "bound      ClusterRole/"+lab.Reader+", by ClusterRoleBinding devs to Group devs", "may        yes   list pods", "may        no    create deployments.apps in default")

			// A changed mapping counts without a restart; a broken one does not.
			w.auth(ctx, t, fmt.Sprintf(aliceEntry, "ops"))
			w.until(ctx, t, "alice ops,system:authenticated")
			w.auth(ctx, t, "-userarn: x\n  username: y\n")
			wait.For(ctx, 500*time.Millisecond) // nothing is to happen in it
			w.until(ctx, t, "alice ops,system:authenticated")

			// An entry that does not match: kubectl says Unauthorized, explain says why.
			w.auth(ctx, t, "- rolearn: "+awsfake.UserARN+"\n  username: alice\n")
			for ctx.Err() == nil {
				if _, out = w.whoami(ctx, t); out.Status != 0 {
					break
				}
			}
			wantText(t, out.Stderr, "You must be logged in to the server")
			explained = kubecred(t, "authenticator", "explain", awsfake.UserARN, "--mapping", "configmap://kube-system/aws-auth", "--kubeconfig", w.AdminKubeconfig)
			wantStatus(t, explained, 1)
			wantText(t, explained.Stdout, "kind: its key is rolearn")
		})
	}
}

// TestWebhookRestart replaces the webhook again and again under load: every
// login is answered, and with the same identity.
func TestWebhookRestart(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	w := newWebhookWorld(ctx, t, "v1")
	mapping := file(t, "aws-auth.yaml", fmt.Sprintf(aliceEntry, "devs"))
	end := w.serve(ctx, t, "--mapping", mapping)
	w.until(ctx, t, "alice devs,system:authenticated")
	token := must[lab.Output](t)(w.Command(ctx, []string{
		"AWS_ACCESS_KEY_ID=" + awsfake.UserKey, "AWS_SECRET_ACCESS_KEY=" + awsfake.UserSecret, "AWS_ENDPOINT_URL=" + w.aws.URL,
	}, "", must[string](t)(shared.Kubecred(ctx, "kubecred-aws")), "token", "--cluster-name", "demo", "--region", "eu-west-1"))
	var cred struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(token.Stdout), &cred); err != nil {
		t.Fatalf("%v\n%s", err, token)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must[[]byte](t)(os.ReadFile(w.CAFile)))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	load, stop := context.WithCancel(ctx)
	defer stop()
	var good, bad atomic.Int32
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for load.Err() == nil {
				if err := login(ctx, client, w.URL, cred.Status.Token); err != nil {
					bad.Add(1)
					t.Error(err)
				} else {
					good.Add(1)
				}
			}
		}()
	}
	for range 5 {
		wait.For(ctx, 300*time.Millisecond) // under load
		next := w.serve(ctx, t, "--mapping", mapping)
		end()
		end = next
	}
	stop()
	for range 4 {
		<-done
	}
	t.Logf("%d logins through five restarts", good.Load())
	if bad.Load() > 0 || good.Load() < 50 {
		t.Errorf("%d logins, %d lost", good.Load(), bad.Load())
	}
}

// login asks the API server who a token is.
func login(ctx context.Context, client *http.Client, url, token string) error {
	body := `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/apis/authentication.k8s.io/v1/selfsubjectreviews", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated || !bytes.Contains(data, []byte(`"alice"`)) {
		return errors.New(res.Status + " " + string(data))
	}
	return nil
}

// lockedBuffer takes a program's log while it is read.
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

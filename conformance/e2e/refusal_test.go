//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
)

// TestRefusedToken has the API server's webhook refuse a token that lies in the
// cache of kubecred-exec, long before its end. The kubectl that meets this fails,
// as it would without a cache, and the next one works.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	dir := t.TempDir()
	webhook := must[*lab.Reviewer](t)(lab.NewReviewer(filepath.Join(dir, "webhook")))
	t.Cleanup(webhook.Close)
	l := must[*lab.Lab](t)(lab.Start(ctx, lab.Options{
		TokenWebhook:  webhook.Kubeconfig,
		APIServerArgs: []string{"--authentication-token-webhook-cache-ttl", "0s"}, // or it takes a refused token for two minutes more
	}))
	t.Cleanup(func() {
		if t.Failed() {
			l.KeepLogs()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Grant(ctx, lab.Reader, lab.ReviewedUser); err != nil {
		t.Fatal(err)
	}
	broker, issuer := must[string](t)(shared.Kubecred(ctx, "kubecred-exec")), must[string](t)(l.Issuer(ctx))
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			token, calls := filepath.Join(dir, "token"), filepath.Join(dir, "calls")
			config := must[string](t)(l.Kubeconfig("refused-"+version, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
				APIVersion: "client.authentication.k8s.io/" + version, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
				Command: broker, Args: []string{"client", "--", issuer},
				Env: []clientcmdapi.ExecEnvVar{{Name: "LAB_TOKEN_FILE", Value: token}, {Name: "LAB_CALLS", Value: calls}, {Name: "XDG_CACHE_HOME", Value: dir}},
			}}))
			issue := func(text string) {
				t.Helper()
				if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			get := func(status, called int) {
				t.Helper()
				wantStatus(t, must[lab.Output](t)(l.RunKubectl(ctx, config, "get", "namespaces", "-o", "name")), status)
				if data, _ := os.ReadFile(calls); strings.Count(string(data), "\n") != called {
					t.Errorf("the issuer ran %d times, want %d", strings.Count(string(data), "\n"), called)
				}
			}
			issue("first-" + version)
			get(0, 1)
			get(0, 1)
			webhook.Refuse("first-" + version)
			client := must[*kubernetes.Clientset](t)(kubernetes.NewForConfig(&rest.Config{
				Host: l.URL, BearerToken: "first-" + version, TLSClientConfig: rest.TLSClientConfig{CAFile: l.CAFile},
			}))
			// The API server itself believes an answer for ten seconds more.
			waitFor(t, ctx, "the API server refuses the token", func() bool {
				_, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
				return apierrors.IsUnauthorized(err)
			})
			issue("second-" + version)
			get(1, 2) // it asks again for the 401, which says that the token was refused
			get(0, 2)
			get(0, 2)
		})
	}
}

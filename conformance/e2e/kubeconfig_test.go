//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
)

// v1alpha1Message is what kubectl says since 1.24.
const v1alpha1Message = `exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"`

// TestOldKubeconfig follows the incident from the error to the mended file.
func TestOldKubeconfig(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	config := must[string](t)(shared.OldKubeconfig(ctx, "old-user"))

	out := must[lab.Output](t)(shared.RunKubectl(ctx, config, "get", "namespaces"))
	wantStatus(t, out, 1)
	wantText(t, out.Stderr, v1alpha1Message)

	explained := kubecred(t, "explain", strings.TrimSpace(out.Stderr))
	wantText(t, explained.Stdout, "KC101", "kubecred kubeconfig fix")
	checked := kubecred(t, "kubeconfig", "check", "--kubeconfig", config)
	wantStatus(t, checked, 1)
	wantText(t, checked.Stdout, "KC101", "client.authentication.k8s.io/v1alpha1")

	for _, to := range []string{"v1beta1", "v1"} {
		t.Run(to, func(t *testing.T) {
			data := must[[]byte](t)(os.ReadFile(config))
			copied := file(t, "config", string(data))
			wantStatus(t, kubecred(t, "kubeconfig", "fix", "--kubeconfig", copied, "--to", to), 0)
			wantStatus(t, kubecred(t, "kubeconfig", "check", "--kubeconfig", copied), 0)
			out := must[lab.Output](t)(shared.RunKubectl(ctx, copied, "get", "namespaces", "-o", "name"))
			wantStatus(t, out, 0)
			wantText(t, out.Stdout, "namespace/default")
		})
	}
}

// pluginConfig writes a kubeconfig whose user has the exec plugin command, with
// an environment of names and values in turn. It returns the file's name.
func pluginConfig(t *testing.T, name, version string, env []string, command string, args ...string) string {
	t.Helper()
	plugin := &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/" + version, InteractiveMode: clientcmdapi.IfAvailableExecInteractiveMode,
		Command: command, Args: args,
	}
	for pair := range slices.Chunk(env, 2) {
		plugin.Env = append(plugin.Env, clientcmdapi.ExecEnvVar{Name: pair[0], Value: pair[1]})
	}
	return must[string](t)(shared.Kubeconfig(name+"-"+version, &clientcmdapi.AuthInfo{Exec: plugin}))
}

// TestOldIssuer has a kubectl of today, which speaks v1 and v1beta1, reach the
// API server with an issuer that speaks v1alpha1 only: not by itself, and through
// kubecred-exec, which asks in the newer versions first and remembers the answer.
func TestOldIssuer(t *testing.T) {
	t.Parallel()
	broker := must[string](t)(shared.Kubecred(t.Context(), "kubecred-exec"))
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			issuer := must[string](t)(shared.Issuer(ctx))
			token, calls := file(t, "token", shared.StaticToken), filepath.Join(t.TempDir(), "calls")
			config := func(name, command string, args ...string) string {
				return pluginConfig(t, name, version, []string{
					"LAB_TOKEN_FILE", token, "LAB_CALLS", calls, "LAB_API_VERSION", "v1alpha1", "XDG_CACHE_HOME", t.TempDir(),
				}, command, args...)
			}
			alone := must[lab.Output](t)(shared.RunKubectl(ctx, config("old-alone", issuer), "get", "namespaces", "-o", "name"))
			wantStatus(t, alone, 1)
			wantText(t, alone.Stderr, "asks for client.authentication.k8s.io/"+version+"; this issuer speaks v1alpha1")
			if err := os.Remove(calls); err != nil {
				t.Fatal(err)
			}
			through := config("old-through", broker, "client", "--", issuer)
			for range 3 {
				out := must[lab.Output](t)(shared.RunKubectl(ctx, through, "get", "namespaces", "-o", "name"))
				wantStatus(t, out, 0)
				wantText(t, out.Stdout, "namespace/default")
			}
			data := must[[]byte](t)(os.ReadFile(calls))
			if n, most := strings.Count(string(data), "\n"), map[string]int{"v1": 3, "v1beta1": 2}[version]; n != most {
				t.Errorf("the issuer was asked %d times, want %d, the last time in its version:\n%s", n, most, data)
			}
		})
	}
}

// TestBroker puts kubecred-exec between the real kubectl and an issuer: one
// call of the issuer serves many of kubectl, in either version of the protocol,
// and a token that the API server refuses is not served again.
func TestBroker(t *testing.T) {
	t.Parallel()
	broker := must[string](t)(shared.Kubecred(t.Context(), "kubecred-exec"))
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			issuer := must[string](t)(shared.Issuer(ctx))
			dir := t.TempDir()
			token, calls := filepath.Join(dir, "token"), filepath.Join(dir, "calls")
			config := pluginConfig(t, "broker", version, []string{
				"LAB_TOKEN_FILE", token, "LAB_CALLS", calls, "XDG_CACHE_HOME", dir,
			}, broker, "client", "--", issuer)
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			called := func() int {
				data, _ := os.ReadFile(calls)
				return strings.Count(string(data), "\n")
			}
			get := func(status int) {
				t.Helper()
				wantStatus(t, must[lab.Output](t)(shared.RunKubectl(ctx, config, "get", "namespaces", "-o", "name")), status)
			}
			ns := must[string](t)(shared.Namespace(ctx, t.Name()))
			pod, err := shared.Pod(ctx, ns, "caller", "caller")
			if err != nil {
				t.Fatal(err)
			}
			revoked := must[lab.Token](t)(shared.AgedToken(ctx, pod, time.Minute, lab.EKS))
			if err := shared.Grant(ctx, lab.Reader, "system:serviceaccount:"+ns+":caller"); err != nil {
				t.Fatal(err)
			}
			write(shared.StaticToken)
			get(0)
			first := called()
			get(0)
			get(0)
			if called() != first || first == 0 {
				t.Errorf("the issuer ran %d times for the first kubectl and %d more for two others", first, called()-first)
			}
			// The token dies before its time, with its pod. The first kubectl after
			// that fails, as it would without kubecred-exec; by asking twice it has
			// said that the token was refused, and the next one gets another.
			write(revoked.JWT)
			if err := os.RemoveAll(filepath.Join(dir, "kubecred")); err != nil {
				t.Fatal(err)
			}
			get(0)
			now := int64(0)
			if err := shared.Admin.CoreV1().Pods(ns).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
				t.Fatal(err)
			}
			waitFor(t, ctx, "the API server refuses the token", func() bool { return use(ctx, t, revoked.JWT, t.Name(), "10.0.8.8") == 401 })
			write(shared.StaticToken)
			first = called()
			get(1)
			get(0)
			get(0)
			if called() != first+1 {
				t.Errorf("the issuer ran %d times for the refusal", called()-first)
			}
		})
	}
}

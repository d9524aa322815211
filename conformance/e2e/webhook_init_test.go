//go:build unix

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// kubectl runs kubectl as the administrator and wants it to succeed.
func (w *webhookWorld) kubectl(ctx context.Context, t *testing.T, args ...string) lab.Output {
	t.Helper()
	out := must[lab.Output](t)(w.RunKubectl(ctx, w.AdminKubeconfig, args...))
	wantStatus(t, out, 0)
	return out
}

// TestWebhookFromInit gives what `init` writes to a real API server: it asks
// the webhook by the kubeconfig and the certificate, takes the manifests as they
// are, and the webhook works with the rights that they give it and no others.
func TestWebhookFromInit(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	w := newWebhookWorld(ctx, t, "v1")
	manifest := func(name string) string { return filepath.Join(w.dir, name) }
	for _, name := range []string{"rbac.yaml", "daemonset.yaml", "static-pod.yaml"} {
		out := w.kubectl(ctx, t, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", manifest(name))
		if strings.Contains(out.Stderr, "Warning") {
			t.Errorf("%s: %s", name, out.Stderr)
		}
	}
	w.kubectl(ctx, t, "apply", "--validate=strict", "-f", manifest("rbac.yaml"), "-f", manifest("daemonset.yaml"))
	w.kubectl(ctx, t, "wait", "--for=condition=Established", "--timeout=60s", "crd/iamidentitymappings.iamauthenticator.k8s.aws")
	// What the DaemonSet's controller would make of it on a control-plane node.
	set, err := w.Admin.AppsV1().DaemonSets("kube-system").Get(ctx, "kubecred-authenticator", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: set.Spec.Template.ObjectMeta, Spec: set.Spec.Template.Spec}
	pod.Name = "kubecred-authenticator-dry"
	if _, err := w.Admin.CoreV1().Pods("kube-system").Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: "Strict"}); err != nil {
		t.Errorf("a pod of the DaemonSet: %v", err)
	}

	token, err := w.Admin.CoreV1().ServiceAccounts("kube-system").CreateToken(ctx, "kubecred-authenticator", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := must[string](t)(w.Kubeconfig("authenticator", &clientcmdapi.AuthInfo{Token: token.Status.Token}))
	w.auth(ctx, t, "")
	w.serve(ctx, t, "--mapping", "crd://", "--mapping", "configmap://kube-system/aws-auth", "--kubeconfig", account)
	w.mapByObject(ctx, t)
}

const identityMapping = `apiVersion: iamauthenticator.k8s.aws/v1alpha1
kind: IAMIdentityMapping
metadata: {name: %s}
spec: {arn: %q, username: %s, groups: %s}
`

// apply writes an IAMIdentityMapping.
func (w *webhookWorld) apply(ctx context.Context, t *testing.T, name, arn, username, groups string) {
	t.Helper()
	w.kubectl(ctx, t, "apply", "-f", file(t, name+".yaml", fmt.Sprintf(identityMapping, name, arn, username, groups)))
}

// mapByObject maps a user by an IAMIdentityMapping, changes it, and breaks it.
func (w *webhookWorld) mapByObject(ctx context.Context, t *testing.T) {
	t.Helper()
	w.apply(ctx, t, "alice", awsfake.UserARN, "alice", "[one]")
	w.until(ctx, t, "alice one,system:authenticated")
	w.apply(ctx, t, "alice", awsfake.UserARN, "alice", "[two]")
	w.until(ctx, t, "alice system:authenticated,two")
	// The schema keeps out what is of the wrong type.
	out := must[lab.Output](t)(w.RunKubectl(ctx, w.AdminKubeconfig, "apply", "-f", file(t, "x.yaml", fmt.Sprintf(identityMapping, "x", awsfake.AdminRole, "x", "{a: b}"))))
	wantStatus(t, out, 1)
	// A CustomResourceDefinition without one, as older clusters have it, does not;
	// then the webhook does, and keeps what it had.
	w.kubectl(ctx, t, "patch", "crd", "iamidentitymappings.iamauthenticator.k8s.aws", "--type=json", "-p",
		`[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema","value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]`)
	loose := file(t, "loose.yaml", fmt.Sprintf(identityMapping, "loose", awsfake.AdminRole, "x", "{a: b}"))
	waitFor(t, ctx, "the API server takes an object of the wrong type", func() bool {
		out, err := w.RunKubectl(ctx, w.AdminKubeconfig, "apply", "-f", loose)
		return err == nil && out.Status == 0
	})
	const keptOut = `kubecred_authenticator_mapping_loads_total{outcome="kept out",source="crd://"}`
	waitFor(t, ctx, "the wrong object is kept out and counted", func() bool { return strings.Contains(w.metrics(ctx, t), keptOut) })
	w.apply(ctx, t, "alice", awsfake.UserARN, "alice", "[three]")
	w.until(ctx, t, "alice system:authenticated,two")
	if log := w.log.String(); !strings.Contains(log, `"msg":"mappings kept out","source":"crd://","reason":"crd://:`) || !strings.Contains(log, "IAMIdentityMapping loose: groups is a mapping where a list belongs") {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	w.kubectl(ctx, t, "delete", "iamidentitymapping", "loose")
	w.until(ctx, t, "alice system:authenticated,three")
	w.kubectl(ctx, t, "delete", "iamidentitymapping", "alice")
	waitFor(t, ctx, "an entry that is gone lets nobody in", func() bool {
		_, out := w.whoami(ctx, t)
		return out.Status != 0
	})
}

// metrics are the webhook's.
func (w *webhookWorld) metrics(ctx context.Context, t *testing.T) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodGet, "https://"+w.address+"/metrics", nil))
	res := must[*http.Response](t)(client.Do(req))
	defer res.Body.Close()
	return string(must[[]byte](t)(io.ReadAll(res.Body)))
}

//go:build unix

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/conformance/lab"
)

// withRights makes a user who has the rights that a command prints and no
// others, and returns the user's kubeconfig.
func withRights(ctx context.Context, t *testing.T, user string, command ...string) string {
	t.Helper()
	printed := kubecred(t, append(command, "--print-rbac")...)
	file := filepath.Join(t.TempDir(), "role.yaml")
	if err := os.WriteFile(file, []byte(printed.Stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	applied := must[lab.Output](t)(shared.RunKubectl(ctx, shared.AdminKubeconfig, "apply", "-f", file))
	if applied.Status != 0 {
		t.Fatal(applied)
	}
	if err := shared.Grant(ctx, "kubecred-"+strings.Join(command, "-"), user); err != nil {
		t.Fatal(err)
	}
	return must[string](t)(shared.UserKubeconfig(user))
}

// TestTokensListOfALiveCluster: owners, token secrets and namespaces that may
// not be read, as a real API server has them.
func TestTokensListOfALiveCluster(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	if _, err := shared.Pod(ctx, ns, "web-0", "web"); err != nil {
		t.Fatal(err)
	}
	_, err := shared.Admin.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "web-token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "web"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := withRights(ctx, t, "lister-"+ns, "tokens", "list")
	out := kubecred(t, "tokens", "list", "--kubeconfig", config, "-n", ns, "--profile", "eks")
	for _, want := range []string{ns + "/pod/web-0", "not started", "KC337  " + ns + "/secret/web-token", "a person made it: Kubernetes leaves it alone"} {
		if !strings.Contains(out.Stdout, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if out.Status != 0 || out.Stderr != "" || strings.Contains(out.Stdout, "KC340") {
		t.Errorf("%s", out)
	}

	// Somebody who may do no more than read one namespace gets that one, and is
	// told what is missing.
	user := "narrow-" + ns
	_, err = shared.Admin.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "narrow"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = shared.Admin.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "narrow"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "narrow"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config = must[string](t)(shared.UserKubeconfig(user))
	out = kubecred(t, "tokens", "list", "--kubeconfig", config, "-n", ns, "--profile", "eks")
	for _, want := range []string{ns + "/pod/web-0", "KC340  secrets: not readable in 1 namespace: forbidden", "KC340  /metrics: not readable: forbidden"} {
		if !strings.Contains(out.Stdout, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	all := kubecred(t, "tokens", "list", "--kubeconfig", config)
	if all.Status != 2 || !strings.HasPrefix(all.Stderr, "kubecred: listing pods is forbidden in every namespace: name one with --namespace") {
		t.Errorf("%s", all)
	}
}

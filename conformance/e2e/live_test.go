//go:build unix

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
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
	// The API server streamed its watch cache, and was not asked for lists of
	// what there may be many of.
	mine := auditLines(t, `"username":"lister-`+ns+`"`)
	for _, resource := range []string{"pods", "replicasets", "jobs"} {
		if !strings.Contains(mine, "/"+resource+"?allowWatchBookmarks=true") || strings.Contains(mine, "/"+resource+"?limit=") {
			t.Errorf("%s were not streamed:\n%s", resource, mine)
		}
	}

	// Without the right to watch, the same comes in pages.
	role := must[*rbacv1.ClusterRole](t)(shared.Admin.RbacV1().ClusterRoles().Get(ctx, "kubecred-tokens-list", metav1.GetOptions{}))
	for i := range role.Rules {
		role.Rules[i].Verbs = slices.DeleteFunc(role.Rules[i].Verbs, func(v string) bool { return v == "watch" })
	}
	role.ObjectMeta = metav1.ObjectMeta{Name: "list-only-" + ns}
	if _, err := shared.Admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pager := "pager-" + ns
	if err := shared.Grant(ctx, role.Name, pager); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Format(time.RFC3339)
	inPages := kubecred(t, "tokens", "list", "--kubeconfig", must[string](t)(shared.UserKubeconfig(pager)), "-n", ns, "--profile", "eks", "-o", "json", "--now", at)
	streamed := kubecred(t, "tokens", "list", "--kubeconfig", config, "-n", ns, "--profile", "eks", "-o", "json", "--now", at)
	if inPages.Stdout != streamed.Stdout || inPages.Status != streamed.Status {
		t.Errorf("in pages:\n%s\nas a stream:\n%s", inPages, streamed)
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
	// With the right to list namespaces, the others are tried one by one and
	// named, and the exit status says that the calendar is not whole.
	_, err = shared.Admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "namespaces-" + ns},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := kubecred(t, "tokens", "list", "--kubeconfig", config)
	if all.Status != 2 || !strings.HasPrefix(all.Stderr, "kubecred: listing pods is forbidden in every namespace: name one with --namespace") {
		t.Errorf("%s", all)
	}
	if err := shared.Grant(ctx, "namespaces-"+ns, user); err != nil {
		t.Fatal(err)
	}
	some := kubecred(t, "tokens", "list", "--kubeconfig", config, "-o", "json")
	wantStatus(t, some, 1)
	wantText(t, some.Stdout, "1 pod, 1 workload", `"subject": "pods"`, `"kube-system"`)
}

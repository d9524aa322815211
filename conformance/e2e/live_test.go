//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubecred/kubecred/conformance/lab"
)

// rolloutControllers starts the controllers that make pods of Deployments, which
// the lab leaves out, for as long as the test runs.
func rolloutControllers(ctx context.Context, t *testing.T) {
	t.Helper()
	program, err := shared.Program(ctx, "kube-controller-manager")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "--kubeconfig", shared.AdminKubeconfig,
		"--controllers", "deployment-controller,replicaset-controller", "--leader-elect=false", "--secure-port", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
}

// playKubelet says of each pod in the namespace that it runs and is ready, and
// calls born once for each.
func playKubelet(ctx context.Context, t *testing.T, ns string, born func(*corev1.Pod)) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	done.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			list, err := shared.Admin.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for i := range list.Items {
				p := &list.Items[i]
				if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodRunning {
					continue
				}
				now := time.Now().UTC().Format(time.RFC3339)
				patch := fmt.Sprintf(`{"status":{"phase":"Running","startTime":%q,"conditions":[{"type":"Ready","status":"True","lastTransitionTime":%q}],`+
					`"containerStatuses":[{"name":"main","image":"x","imageID":"x","ready":true,"restartCount":0,"state":{"running":{"startedAt":%q}}}]}}`, now, now, now)
				if _, err := shared.Admin.CoreV1().Pods(ns).Patch(ctx, p.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err == nil {
					born(p)
				}
			}
		}
	})
}

func deploy(ctx context.Context, t *testing.T, ns, name string) {
	t.Helper()
	if _, err := shared.Admin.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": name}
	_, err := shared.Admin.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{{Name: "main", Image: "example.com/" + name + ":1"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

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

// TestRestartAppliesAndVerifies restarts two workloads with dying tokens: one
// reads its token again afterwards, the other never does.
func TestRestartAppliesAndVerifies(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	rolloutControllers(ctx, t)

	// A pod's client begins with a token of the age that the story wants: in the
	// first pods 89 days, in those after the restart as the workload's habit is.
	var mu sync.Mutex
	pods := map[string]int{}
	ready := make(chan string, 8)
	playKubelet(ctx, t, ns, func(p *corev1.Pod) {
		app := p.Labels["app"]
		mu.Lock()
		pods[app]++
		first := pods[app] == 1
		mu.Unlock()
		ages := map[bool]map[string][]time.Duration{
			true:  {"rereads": {89 * day}, "never": {89 * day}},
			false: {"rereads": {time.Minute, 10 * time.Second}, "never": {2 * time.Hour}},
		}[first][app]
		for _, age := range ages {
			token, err := shared.AgedToken(ctx, p, age, lab.EKS)
			if err != nil {
				t.Error(err)
				return
			}
			use(ctx, t, token.JWT, app+"-client/"+ns, "10.0.8.8")
		}
		ready <- app
	})
	deploy(ctx, t, ns, "rereads")
	deploy(ctx, t, ns, "never")
	for range 2 {
		select {
		case <-ready:
		case <-ctx.Done():
			t.Fatal("the pods did not come: ", ctx.Err())
		}
	}

	config := withRights(ctx, t, "restarter-"+ns, "tokens", "restart")
	plan := kubecred(t, "tokens", "restart", "--kubeconfig", config, "-n", ns, shared.AuditLog)
	if plan.Status != 0 || !strings.Contains(plan.Stdout, "2 workloads to restart") {
		t.Fatalf("the plan:\n%s", plan)
	}
	out := kubecred(t, "tokens", "restart", "--kubeconfig", config, "-n", ns, "--apply", "--verify", "--timeout", "60s", "--verify-timeout", "60s", "-o", "json", shared.AuditLog)
	var done struct {
		Steps []struct {
			Name, State, Verdict string
			Proved               bool
			Until                time.Time
		}
	}
	if err := json.Unmarshal([]byte(out.Stdout), &done); err != nil || out.Status != 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(done.Steps) != 2 {
		t.Fatalf("%d steps:\n%s", len(done.Steps), out)
	}
	for _, s := range done.Steps {
		want := map[string]string{"rereads": "healed", "never": "snoozed"}[s.Name]
		if s.State != "restarted" || s.Verdict != want || !s.Proved {
			t.Errorf("%s: %s, %s, proved %v, want restarted, %s:\n%s", s.Name, s.State, s.Verdict, s.Proved, want, out)
		}
		if left := time.Until(s.Until); s.Name == "never" && (left < 89*day || left > 90*day) {
			t.Errorf("snoozed until %v", s.Until)
		}
	}
	// kubectl sees the same annotation, and a second run has nothing to do.
	d, err := shared.Admin.AppsV1().Deployments(ns).Get(ctx, "never", metav1.GetOptions{})
	if err != nil || d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Errorf("annotations %v, %v", d.Spec.Template.Annotations, err)
	}
	if !slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == "kubecred" && m.Operation == metav1.ManagedFieldsOperationApply
	}) {
		t.Errorf("not applied as kubecred: %v", d.ManagedFields)
	}
	again := kubecred(t, "tokens", "restart", "--kubeconfig", config, "-n", ns, "--within", "30d", "--apply", shared.AuditLog)
	if again.Status != 0 || strings.Contains(again.Stderr, "restart asked for") {
		t.Errorf("again:\n%s", again)
	}
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

//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubecred/kubecred/conformance/lab"
)

// restartPlan is what tokens restart -o json promises.
type restartPlan struct {
	Steps []struct {
		Namespace, Kind, Name, Action, Why, Reason, State, Error, Verdict string
		Notes                                                             []string
		Basis                                                             string
		Proved                                                            bool
		Until                                                             time.Time
	}
}

// restart runs tokens restart -o json and returns its steps.
func restart(t *testing.T, status int, args ...string) (restartPlan, lab.Output) {
	t.Helper()
	out := kubecred(t, append([]string{"tokens", "restart", "-o", "json"}, args...)...)
	wantStatus(t, out, status)
	var p restartPlan
	if err := json.Unmarshal([]byte(out.Stdout), &p); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p, out
}

// restartPlanted restarts what lab up plants, as its text says, and holds what
// --verify says of each workload against what it is.
func restartPlanted(t *testing.T, ctx context.Context) {
	t.Helper()
	config := withRights(ctx, t, "restarter", "tokens", "restart")
	scope := []string{"--kubeconfig", config, "-n", "kube-system,secrets,apps,logging"}
	plan, out := restart(t, 0, append(scope, shared.AuditLog)...)
	if len(plan.Steps) != 4 || plan.Steps[3].Kind != "CronJob" || plan.Steps[3].Action != "none" {
		t.Errorf("the plan: want kube2iam, kubernetes-external-secrets and reporter, and no need for the CronJob:\n%s", out)
	}
	done, out := restart(t, 0, append(scope, "--apply", "--verify", "--timeout", "60s", "--verify-timeout", "60s", shared.AuditLog)...)
	t.Logf("%s", out)
	wants := map[string]string{"kube2iam": "snoozed", "kubernetes-external-secrets": "snoozed", "reporter": "healed"}
	for _, s := range done.Steps {
		want, ok := wants[s.Name]
		if !ok {
			continue
		}
		delete(wants, s.Name)
		if s.State != "restarted" || s.Verdict != want {
			t.Errorf("%s: %s, %s, want restarted, %s:\n%s", s.Name, s.State, s.Verdict, want, out)
		}
		if left := time.Until(s.Until); s.Verdict == "snoozed" && (left < 89*day || left > 91*day) {
			t.Errorf("%s: snoozed until %v", s.Name, s.Until)
		}
	}
	if len(wants) > 0 {
		t.Errorf("not restarted: %v\n%s", wants, out)
	}
	// All pods are new now, so there is nothing left to do.
	again, out := restart(t, 0, append(scope, "--apply", shared.AuditLog)...)
	for _, s := range again.Steps {
		if s.State == "restarted" {
			t.Errorf("%s was restarted again:\n%s", s.Name, out)
		}
	}
}

// TestRestartAppliesAndVerifies restarts two workloads with dying tokens: one
// reads its token again afterwards, the other never does, and the API server
// marks its next token as well.
func TestRestartAppliesAndVerifies(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	standIn := func(name string) lab.StandIn {
		return lab.StandIn{
			Namespace: ns, Account: name, Kind: "Deployment", Image: "example.com/" + name + ":1", Node: "node-" + ns,
			Agent: name + "-client/" + ns, Source: "10.0.8.8", Age: 89 * day, Profile: lab.EKS, Every: 500 * time.Millisecond,
		}
	}
	rereads, never := standIn("rereads"), standIn("never")
	rereads.Then, never.ThenAge = lab.ReadsAgain, 2*time.Hour
	programs := must[[]*lab.Workload](t)(shared.Plant(ctx, []lab.StandIn{rereads, never}))
	for _, p := range programs {
		waitFor(t, ctx, p.Pod+" made a request", func() bool { n, _ := p.Counts(); return n > 0 })
	}

	config := withRights(ctx, t, "restarter-"+ns, "tokens", "restart")
	plan := kubecred(t, "tokens", "restart", "--kubeconfig", config, "-n", ns, shared.AuditLog)
	if plan.Status != 0 || !strings.Contains(plan.Stdout, "2 workloads to restart") {
		t.Fatalf("the plan:\n%s", plan)
	}
	done, out := restart(t, 0, "--kubeconfig", config, "-n", ns, "--apply", "--verify", "--prove", "--timeout", "60s", "--verify-timeout", "60s", shared.AuditLog)
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

// TestRestartTellsByWhatWasSeenBefore: the new tokens are such as the API server
// gives out, minutes old, and nothing is aged by hand but what lies before the
// restart. What the same image did then tells what it will do.
func TestRestartTellsByWhatWasSeenBefore(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	standIn := func(name string, first, then lab.Habit, age time.Duration) lab.StandIn {
		return lab.StandIn{
			Namespace: ns, Account: name, Kind: "Deployment", Image: "example.com/" + name + ":1", Node: "node-" + ns,
			Agent: name + "/" + ns, Source: "10.0.8.9", Habit: first, Then: then, Age: age, Profile: lab.EKS, Every: 500 * time.Millisecond,
		}
	}
	programs := must[[]*lab.Workload](t)(shared.Plant(ctx, []lab.StandIn{
		standIn("never", lab.ReadsOnce, lab.ReadsOnce, 89*day),
		standIn("mended", lab.ReadsOnce, lab.ReadsAgain, 80*day),
		standIn("rereads", lab.ReadsAgain, lab.ReadsAgain, 0),
	}))
	for _, p := range programs {
		waitFor(t, ctx, p.Pod+" made its requests", func() bool { n, _ := p.Counts(); return n > 6 })
	}
	config := withRights(ctx, t, "before-"+ns, "tokens", "restart")
	scope := []string{"--kubeconfig", config, "-n", ns, "--apply", "--verify", "--timeout", "60s", "--verify-timeout", "60s", "--fail-on", "warning"}
	check := func(status int, wants map[string]string, args ...string) {
		t.Helper()
		done, out := restart(t, status, append(append([]string{}, scope...), args...)...)
		if len(done.Steps) != len(wants) {
			t.Fatalf("%d steps:\n%s", len(done.Steps), out)
		}
		for _, s := range done.Steps {
			if got := s.State + " " + s.Verdict + " " + s.Basis; got != wants[s.Name] {
				t.Errorf("%s: %s, want %s:\n%s", s.Name, got, wants[s.Name], out)
			}
			if left := time.Until(s.Until); s.Verdict == "snoozed" && (left < 89*day || left > 91*day) {
				t.Errorf("snoozed until %v", s.Until)
			}
		}
	}
	// The log names what is stale; the status says that one of them only has a
	// new date.
	check(1, map[string]string{"never": "restarted snoozed same-image", "mended": "restarted healed use"}, shared.AuditLog)
	check(0, map[string]string{"rereads": "restarted healed same-image"}, "--audit-log", shared.AuditLog, "deployment/rereads")
}

// TestRestartStopsAndGoesOn: a rollout that cannot go on ends the run, what
// comes after it is not begun, and the command that is printed goes on.
func TestRestartStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	first := lab.StandIn{Namespace: ns, Account: "first", Kind: "Deployment", Image: "example.com/first:1", Node: "node-" + ns, Agent: "first/" + ns, Source: "10.0.9.1", Age: 89 * day, Profile: lab.EKS}
	second := first
	second.Account, second.Agent, second.Age = "second", "second/"+ns, 80*day
	for _, p := range must[[]*lab.Workload](t)(shared.Plant(ctx, []lab.StandIn{first, second})) {
		waitFor(t, ctx, p.Pod+" made a request", func() bool { n, _ := p.Counts(); return n > 0 })
	}
	// A quota that has no room for another pod.
	two := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}
	quota, err := shared.Admin.CoreV1().ResourceQuotas(ns).Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full"}, Spec: corev1.ResourceQuotaSpec{Hard: two},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: two, Used: two} // whose controller does not run here
	if _, err := shared.Admin.CoreV1().ResourceQuotas(ns).UpdateStatus(ctx, quota, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, ctx, "the quota is known", func() bool {
		_, err := shared.Pod(ctx, ns, "one-too-many", "first")
		if err == nil {
			err = shared.Admin.CoreV1().Pods(ns).Delete(ctx, "one-too-many", metav1.DeleteOptions{})
		}
		return apierrors.IsForbidden(err)
	})
	config := withRights(ctx, t, "stopper-"+ns, "tokens", "restart")
	scope := []string{"--kubeconfig", config, "-n", ns, "--apply", "--timeout", "6s"}
	stopped, out := restart(t, 1, append(scope, shared.AuditLog)...)
	if len(stopped.Steps) != 2 || stopped.Steps[0].State != "failed" || stopped.Steps[1].State != "not-begun" {
		t.Fatalf("want the first failed, the second not begun:\n%s", out)
	}
	wantText(t, stopped.Steps[0].Error, "not ready after 6s", "exceeded quota: full")

	text := kubecred(t, append(append([]string{"tokens", "restart"}, scope...), shared.AuditLog)...)
	wantStatus(t, text, 1)
	_, resume, ok := strings.Cut(text.Stdout, "To go on once that is mended: kubecred ")
	if !ok {
		t.Fatalf("no way to go on:\n%s", text)
	}
	if err := shared.Admin.CoreV1().ResourceQuotas(ns).Delete(ctx, "full", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := kubecred(t, append(strings.Fields(resume), "-o", "json")...)
	wantStatus(t, gone, 0)
	var done restartPlan
	if err := json.Unmarshal([]byte(gone.Stdout), &done); err != nil || len(done.Steps) != 2 {
		t.Fatalf("%v\n%s", err, gone)
	}
	for _, s := range done.Steps {
		if want := map[string][]string{"first": {"waited", "already"}, "second": {"restarted"}}[s.Name]; !slices.Contains(want, s.State) && s.Action != "none" {
			t.Errorf("%s: %s, want %s:\n%s", s.Name, s.State, want, gone)
		}
	}
}

// TestRestartAsksBudgets: where the rollout would take a pod that a
// PodDisruptionBudget keeps, as its controller counts, the plan holds.
func TestRestartAsksBudgets(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	pod := lab.StandIn{Namespace: ns, Account: "db", Kind: "StatefulSet", Image: "example.com/db:1", Node: "node-" + ns, Agent: "db/" + ns, Source: "10.0.9.2", Age: 89 * day, Profile: lab.EKS}
	for _, p := range must[[]*lab.Workload](t)(shared.Plant(ctx, []lab.StandIn{pod})) {
		waitFor(t, ctx, p.Pod+" made a request", func() bool { n, _ := p.Counts(); return n > 0 })
	}
	one := intstr.FromInt32(1)
	_, err := shared.Admin.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, ctx, "the budget is counted", func() bool {
		b, err := shared.Admin.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "db", metav1.GetOptions{})
		return err == nil && b.Status.ObservedGeneration > 0 && b.Status.CurrentHealthy == 1
	})
	config := withRights(ctx, t, "budget-"+ns, "tokens", "restart")
	scope := []string{"--kubeconfig", config, "-n", ns, "--apply", "--timeout", "30s"}
	held, out := restart(t, 0, append(scope, shared.AuditLog)...)
	if len(held.Steps) != 1 || held.Steps[0].Action != "hold" || held.Steps[0].State != "skipped" {
		t.Fatalf("%s", out)
	}
	wantText(t, held.Steps[0].Reason, "PodDisruptionBudget db allows 0 of its pods to go now, and the rollout takes 1 at once")
	done, out := restart(t, 0, append(scope, "--ignore-budgets", shared.AuditLog)...)
	if done.Steps[0].State != "restarted" {
		t.Fatalf("%s", out)
	}
}

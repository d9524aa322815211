package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/internal/cluster"
)

var now = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

func deployment(name string) cluster.Ref {
	return cluster.Ref{Kind: "Deployment", APIVersion: "apps/v1", Namespace: "apps", Name: name}
}

func TestWithoutRollout(t *testing.T) {
	tests := []struct {
		kind   string
		gone   bool
		action Action
		reason string
	}{
		{"CronJob", false, Nothing, "needs none: each run begins with a new token"},
		{"Job", false, Nothing, "needs none: it runs to its end, and another run begins with a new token"},
		{"Pod", false, ByHand, "nothing owns the pod, so nothing would make it again: delete it and create it anew"},
		{"ReplicaSet", false, ByHand, "a ReplicaSet does not roll: delete its pods one after the other"},
		{"Rollout", false, ByHand, "a Rollout has a way of its own to restart its pods"},
		{"Deployment", true, Nothing, "its pods with old tokens are gone already"},
	}
	for _, tt := range tests {
		s, ok := WithoutRollout(Target{Ref: cluster.Ref{Kind: tt.kind}, Gone: tt.gone})
		if !ok || s.Action != tt.action || s.Reason != tt.reason {
			t.Errorf("%s: %v, %s: %s", tt.kind, ok, s.Action, s.Reason)
		}
	}
	if _, ok := WithoutRollout(Target{Ref: deployment("x")}); ok {
		t.Error("a Deployment can be restarted")
	}
}

// whole is a rollout that is done, of three pods.
func whole(change func(*cluster.Rollout)) cluster.Rollout {
	r := cluster.Rollout{Ref: deployment("web"), UID: "u", Desired: 3, Total: 3, Updated: 3, Ready: 3, Available: 3, Seen: true, Strategy: cluster.RollingUpdate}
	if change != nil {
		change(&r)
	}
	return r
}

func TestDecide(t *testing.T) {
	since := now.Add(-time.Hour)
	tests := []struct {
		title  string
		r      cluster.Rollout
		action Action
		reason string
		notes  []string
	}{
		{"plain", whole(nil), Restart, "", nil},
		{"one pod with surge", whole(func(r *cluster.Rollout) { r.Desired = 1 }), Restart, "", []string{"one pod only: its successor is ready before it goes"}},
		{"one pod", whole(func(r *cluster.Rollout) { r.Desired, r.Down = 1, 1 }), Restart, "", []string{"one pod only: it is away until its successor is ready"}},
		{"recreate", whole(func(r *cluster.Rollout) { r.Down = 3 }), Restart, "", []string{"all pods go at once"}},
		{"not whole", whole(func(r *cluster.Rollout) { r.Available = 1 }), Restart, "", []string{"not whole now: 1 of 3 pods are available"}},
		{"scaled to zero", whole(func(r *cluster.Rollout) { r.Desired = 0 }), Nothing, "it has no pods: scaled to zero", nil},
		{"on delete", whole(func(r *cluster.Rollout) { r.Strategy = cluster.OnDelete }), ByHand, "its update strategy is OnDelete: new pods come only when the old ones are deleted by hand", nil},
		{"paused", whole(func(r *cluster.Rollout) { r.Paused = true }), Hold, "its rollout is paused: resume it first", nil},
		{"partition", whole(func(r *cluster.Rollout) { r.Partition = 2 }), Hold, "its partition 2 keeps the pods below that ordinal as they are", nil},
		{"restarted before", whole(func(r *cluster.Rollout) { r.RestartedAt = since.Add(-time.Second) }), Restart, "", nil},
		{"restarted since", whole(func(r *cluster.Rollout) { r.RestartedAt = since }), Nothing, "restarted at 2026-11-22T03:13:00Z already, all pods are new", nil},
		{"under way", whole(func(r *cluster.Rollout) { r.RestartedAt, r.Updated = since, 1 }), Wait, "a restart of 2026-11-22T03:13:00Z is under way: 1 of 3 pods are new, 3 available", nil},
	}
	for _, tt := range tests {
		s := Decide(Target{Ref: deployment("web"), Since: since}, tt.r, nil, Options{})
		if s.Action != tt.action || s.Reason != tt.reason || !slices.Equal(s.Notes, tt.notes) {
			t.Errorf("%s: %s, %q, %q", tt.title, s.Action, s.Reason, s.Notes)
		}
	}
}

func TestDecideAsksBudgets(t *testing.T) {
	tight := cluster.NewBudget("tight", 0, map[string]string{"app": "web"})
	wide := cluster.NewBudget("wide", 1, map[string]string{"app": "web"})
	other := cluster.NewBudget("other", 0, map[string]string{"app": "other"})
	r := whole(func(r *cluster.Rollout) { r.Down, r.Labels = 1, map[string]string{"app": "web"} })
	target := Target{Ref: deployment("web")}
	if s := Decide(target, r, []cluster.Budget{wide, other}, Options{}); s.Action != Restart || len(s.Budgets) != 1 ||
		!slices.Equal(s.Notes, []string{"PodDisruptionBudget wide allows 1 to go, the rollout takes 1"}) {
		t.Errorf("wide: %+v", s)
	}
	s := Decide(target, r, []cluster.Budget{tight}, Options{})
	if s.Action != Hold || s.Reason != "PodDisruptionBudget tight allows 0 of its pods to go now, and the rollout takes 1 at once (rollouts don't ask budgets)" {
		t.Errorf("tight: %s, %s", s.Action, s.Reason)
	}
	s = Decide(target, r, []cluster.Budget{tight}, Options{IgnoreBudgets: true})
	if s.Action != Restart || !slices.Equal(s.Notes, []string{"goes below PodDisruptionBudget tight: it allows 0 to go, the rollout takes 1"}) {
		t.Errorf("ignored: %s, %q", s.Action, s.Notes)
	}
	// A rollout that takes nothing away asks nothing of a budget.
	r.Down = 0
	if s := Decide(target, r, []cluster.Budget{tight}, Options{}); s.Action != Restart {
		t.Errorf("surge: %s", s.Action)
	}
}

func TestOrder(t *testing.T) {
	steps := []Step{
		{Target: Target{Ref: deployment("none")}, Action: Nothing},
		{Target: Target{Ref: deployment("hand")}, Action: ByHand},
		{Target: Target{Ref: deployment("hold"), Dies: now}, Action: Hold},
		{Target: Target{Ref: deployment("named")}, Action: Restart},
		{Target: Target{Ref: deployment("later"), Dies: now.Add(time.Hour)}, Action: Restart},
		{Target: Target{Ref: deployment("dead"), Dies: now.Add(-time.Hour)}, Action: Restart},
	}
	Order(steps)
	var got []string
	for _, s := range steps {
		got = append(got, s.Ref.Name)
	}
	if diff := cmp.Diff([]string{"dead", "later", "named", "hold", "hand", "none"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// fake is a cluster whose rollouts take a while, or never end.
type fake struct {
	rollouts map[string]*cluster.Rollout
	left     map[string]int // looks until it is done; -1 never
	stuck    map[string]string
	looks    int
	errs     []int // the looks that fail
	log      []string
}

func (f *fake) Rollout(_ context.Context, r cluster.Ref) (cluster.Rollout, error) {
	ro, ok := f.rollouts[r.Name]
	if !ok {
		return cluster.Rollout{}, cluster.ErrGone{Ref: r}
	}
	if f.looks++; slices.Contains(f.errs, f.looks) {
		return cluster.Rollout{}, errors.New("connection refused")
	}
	if ro.Updated < ro.Desired {
		if f.stuck[r.Name] != "" {
			ro.Stuck = f.stuck[r.Name]
		}
		switch f.left[r.Name] {
		case 0:
			ro.Updated = ro.Desired
		case -1:
		default:
			f.left[r.Name]--
		}
	}
	return *ro, nil
}

func (f *fake) Restart(_ context.Context, r cluster.Rollout, at time.Time) error {
	f.log = append(f.log, r.Ref.Name)
	if r.UID == "forbidden" {
		return errors.New("forbidden")
	}
	ro := f.rollouts[r.Ref.Name]
	ro.RestartedAt, ro.Updated = at, 0
	return nil
}

func start(names ...string) (*fake, []Step) {
	f := &fake{rollouts: map[string]*cluster.Rollout{}, left: map[string]int{}, stuck: map[string]string{}}
	var steps []Step
	for _, n := range names {
		r := whole(func(r *cluster.Rollout) { r.Ref = deployment(n) })
		f.rollouts[n] = &r
		f.left[n] = 2
		steps = append(steps, Decide(Target{Ref: r.Ref, Since: now.Add(-time.Hour)}, r, nil, Options{}))
	}
	return f, steps
}

func run(t *testing.T, f *fake, steps []Step) []string {
	t.Helper()
	results := Apply(t.Context(), f, steps, ApplyOptions{Timeout: time.Minute, Poll: 2 * time.Second, Now: func() time.Time { return now }, Progress: func(Step, string) {}})
	var got []string
	for _, r := range results {
		line := r.Ref.Name + " " + string(r.State)
		if r.Err != nil {
			line += ": " + r.Err.Error()
		}
		got = append(got, line)
	}
	return got
}

func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, steps := start("a", "b")
		steps = append(steps, Step{Target: Target{Ref: deployment("c")}, Action: Hold})
		if diff := cmp.Diff([]string{"a restarted", "b restarted", "c skipped"}, run(t, f, steps)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// Run again with the same plan, nothing is restarted twice.
		if diff := cmp.Diff([]string{"a already", "b already", "c skipped"}, run(t, f, steps)); diff != "" {
			t.Errorf("again (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a", "b"}, f.log); diff != "" {
			t.Errorf("restarts (-want +got):\n%s", diff)
		}
	})
}

func TestApplyStopsAtTheFirstFailure(t *testing.T) {
	tests := []struct {
		title string
		spoil func(*fake)
		want  string
	}{
		{"never ready", func(f *fake) { f.left["b"] = -1 }, "b failed: not ready after 1m0s: 0 of 3 pods are new, 3 available"},
		{"stuck", func(f *fake) { f.left["b"], f.stuck["b"] = -1, "its progress deadline is over: x" }, "b failed: the rollout is stuck: 0 of 3 pods are new, 3 available; its progress deadline is over: x"},
		{"forbidden", func(f *fake) { f.rollouts["b"].UID = "forbidden" }, "b failed: forbidden"},
		{"gone", func(f *fake) { delete(f.rollouts, "b") }, "b failed: apps/deployment/b is not there"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f, steps := start("a", "b", "c")
			tt.spoil(f)
			if diff := cmp.Diff([]string{"a restarted", tt.want, "c not-begun"}, run(t, f, steps)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.title, diff)
			}
		})
	}
}

func TestApplyBearsAFewErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, steps := start("a")
		f.errs = []int{3, 4, 5, 6}
		if got := run(t, f, steps); got[0] != "a restarted" {
			t.Errorf("got %v", got)
		}
		f, steps = start("a")
		f.errs = []int{3, 4, 5, 6, 7}
		if got := run(t, f, steps); got[0] != "a failed: connection refused (5 times in a row)" {
			t.Errorf("got %v", got)
		}
	})
}

func TestApplyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, steps := start("a")
		f.left["a"] = -1
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		results := Apply(ctx, f, steps, ApplyOptions{Timeout: time.Hour, Poll: time.Second, Now: time.Now, Progress: func(Step, string) {}})
		if err := results[0].Err; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func ExampleDecide() {
	target := Target{Ref: cluster.Ref{Kind: "DaemonSet", Namespace: "kube-system", Name: "kube2iam"}}
	step := Decide(target, cluster.Rollout{Desired: 1, Available: 1, Down: 1}, nil, Options{})
	fmt.Println(step.Action, strings.Join(step.Notes, "; "))
	// Output: restart one pod only: it is away until its successor is ready
}

// Package restart plans and carries out restarts that give pods new tokens: one
// workload after the other, each waited for, and nothing after the first that
// fails.
package restart

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kubecred/kubecred/internal/cluster"
)

// Target is a workload that somebody wants restarted.
type Target struct {
	Ref, Above cluster.Ref
	// Why is the reason in a line; Dies is when its clients are refused, zero if
	// that is not known.
	Why  string
	Dies time.Time
	// Pods are those with the old tokens, and are still there.
	Pods []string
	// Since is the moment after which a restart counts as done: the start of the
	// youngest of Pods, or what the person gave. Zero for no such moment.
	Since time.Time
	// Gone tells that none of the pods with old tokens is there any more.
	Gone bool
}

// Action is what a plan does about a workload.
type Action string

// The actions.
const (
	Restart Action = "restart"
	Wait    Action = "wait" // a restart is under way: wait for it
	Nothing Action = "none" // there is no need
	Hold    Action = "hold" // not before something else is done
	ByHand  Action = "by-hand"
)

// Step is the plan for one workload.
type Step struct {
	Target
	Rollout cluster.Rollout
	Budgets []cluster.Budget
	Action  Action
	// Reason says why the action is not a restart.
	Reason string
	// Notes are what a person should know before the restart.
	Notes []string
}

// Options change what a plan dares.
type Options struct {
	// IgnoreBudgets restarts also where a rollout takes more pods away than a
	// PodDisruptionBudget allows now.
	IgnoreBudgets bool
}

// WithoutRollout plans for a target that is no workload which a restart works
// on. ok is false for one that is.
func WithoutRollout(t Target) (s Step, ok bool) {
	s = Step{Target: t, Action: Nothing}
	switch kind := t.Ref.Kind; {
	case t.Gone:
		s.Reason = "its pods with old tokens are gone already"
	case cluster.CanRestart(kind):
		return s, false
	case kind == "ServiceAccount":
		s.Action, s.Reason = ByHand, "the log does not name the pods of its tokens: name the workload that uses the account"
	case kind == "CronJob":
		s.Reason = "needs none: each run begins with a new token"
	case kind == "Job":
		s.Reason = "needs none: it runs to its end, and another run begins with a new token"
	case kind == "Pod":
		s.Action, s.Reason = ByHand, "nothing owns the pod, so nothing would make it again: delete it and create it anew"
	case kind == "ReplicaSet" || kind == "ReplicationController":
		s.Action, s.Reason = ByHand, fmt.Sprintf("a %s does not roll: delete its pods one after the other", kind)
	default:
		s.Action, s.Reason = ByHand, fmt.Sprintf("a %s has a way of its own to restart its pods", kind)
	}
	return s, true
}

// Decide plans the restart of a workload from its state and the budgets of its
// namespace.
func Decide(t Target, r cluster.Rollout, budgets []cluster.Budget, o Options) Step {
	s := Step{Target: t, Rollout: r, Action: Restart}
	for _, b := range budgets {
		if b.Covers(r.Labels) {
			s.Budgets = append(s.Budgets, b)
		}
	}
	switch {
	case r.Desired == 0:
		s.Action, s.Reason = Nothing, "it has no pods: scaled to zero"
	case restartedSince(t, r) && r.Done():
		s.Action, s.Reason = Nothing, "restarted at "+r.RestartedAt.Format(time.RFC3339)+" already, all pods are new"
	case restartedSince(t, r):
		s.Action, s.Reason = Wait, "a restart of "+r.RestartedAt.Format(time.RFC3339)+" is under way: "+r.Progress()
	case r.Strategy == cluster.OnDelete:
		s.Action, s.Reason = ByHand, "its update strategy is OnDelete: new pods come only when the old ones are deleted by hand"
	case r.Paused:
		s.Action, s.Reason = Hold, "its rollout is paused: resume it first"
	case r.Partition > 0:
		s.Action, s.Reason = Hold, fmt.Sprintf("its partition %d keeps the pods below that ordinal as they are", r.Partition)
	}
	s.note(o)
	return s
}

// note says what the restart means for those who use the workload.
func (s *Step) note(o Options) {
	if s.Action != Restart {
		return
	}
	r := s.Rollout
	switch {
	case r.Desired == 1 && r.Down > 0:
		s.Notes = append(s.Notes, "one pod only: it is away until its successor is ready")
	case r.Desired == 1:
		s.Notes = append(s.Notes, "one pod only: its successor is ready before it goes")
	case r.Down >= r.Desired:
		s.Notes = append(s.Notes, "all pods go at once")
	}
	if r.Available < r.Desired {
		s.Notes = append(s.Notes, fmt.Sprintf("not whole now: %d of %d pods are available", r.Available, r.Desired))
	}
	if s.Above.Kind != "" {
		s.Notes = append(s.Notes, "made by "+s.Above.String()+", which may take the restart back")
	}
	for _, b := range s.Budgets {
		switch {
		case r.Down <= b.Allowed:
			s.Notes = append(s.Notes, fmt.Sprintf("PodDisruptionBudget %s allows %d to go, the rollout takes %d", b.Name, b.Allowed, r.Down))
		case o.IgnoreBudgets:
			s.Notes = append(s.Notes, fmt.Sprintf("goes below PodDisruptionBudget %s: it allows %d to go, the rollout takes %d", b.Name, b.Allowed, r.Down))
		default:
			s.Action = Hold
			s.Reason = fmt.Sprintf("PodDisruptionBudget %s allows %d of its pods to go now, and the rollout takes %d at once (rollouts don't ask budgets)", b.Name, b.Allowed, r.Down)
		}
	}
	if s.Action == Hold {
		s.Notes = nil
	}
}

func restartedSince(t Target, r cluster.Rollout) bool {
	return !t.Since.IsZero() && !r.RestartedAt.Before(t.Since) && !r.RestartedAt.IsZero()
}

// Order puts first what dies first; what has no date comes after that, in the
// order given, and what needs no restart last.
func Order(steps []Step) {
	rank := func(s Step) int {
		switch {
		case s.Action == Restart && !s.Dies.IsZero(), s.Action == Wait:
			return 0
		case s.Action == Restart:
			return 1
		case s.Action == Hold:
			return 2
		case s.Action == ByHand:
			return 3
		}
		return 4
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Dies.Compare(b.Dies))
	})
}

package restart

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubecred/kubecred/internal/cluster"
)

// Cluster is what a restart needs of one; cluster.Client is it.
type Cluster interface {
	Rollout(context.Context, cluster.Ref) (cluster.Rollout, error)
	Restart(context.Context, cluster.Rollout, time.Time) error
}

// State is what became of a step.
type State string

// The states.
const (
	Restarted State = "restarted"
	Waited    State = "waited"  // it was under way, and is done now
	Already   State = "already" // it had been restarted since the plan
	Skipped   State = "skipped" // the plan had no restart for it
	Failed    State = "failed"
	NotBegun  State = "not-begun" // a step before it failed
)

// Result is a step and what became of it.
type Result struct {
	Step
	State State
	// At is when the restart was asked for, Ready when the last pod was ready.
	At, Ready time.Time
	Err       error
}

// ApplyOptions bound the carrying out.
type ApplyOptions struct {
	// Timeout bounds the wait for one workload, Poll is the time between looks.
	Timeout, Poll time.Duration
	Now           func() time.Time
	// Progress is called with what happens, a line each.
	Progress func(Step, string)
}

// maxErrors is how many looks in a row may fail before a wait gives up.
const maxErrors = 5

// Apply carries the steps out, one after the other, and stops at the first that
// fails. It returns a result for each step. It may be run again: what was
// restarted since is not restarted again.
func Apply(ctx context.Context, c Cluster, steps []Step, o ApplyOptions) []Result {
	results := make([]Result, len(steps))
	failed := false
	for i, s := range steps {
		results[i] = Result{Step: s, State: Skipped}
		switch {
		case s.Action != Restart && s.Action != Wait:
		case failed:
			results[i].State = NotBegun
		default:
			results[i] = apply(ctx, c, s, o)
			failed = results[i].State == Failed
		}
	}
	return results
}

func apply(ctx context.Context, c Cluster, s Step, o ApplyOptions) Result {
	res := Result{Step: s, State: Failed}
	// The plan may be old: somebody else may have restarted it by now.
	now, err := c.Rollout(ctx, s.Ref)
	if err != nil {
		res.Err = err
		return res
	}
	changed := !now.RestartedAt.IsZero() && now.RestartedAt.After(s.Rollout.RestartedAt)
	switch {
	case (changed || restartedSince(s.Target, now)) && now.Done():
		res.State = Already
		return res
	case changed || restartedSince(s.Target, now):
		res.State, res.At = Waited, now.RestartedAt
		o.Progress(s, "a restart is under way: "+now.Progress())
	default:
		res.State, res.At = Restarted, o.Now().UTC().Truncate(time.Second)
		if err := c.Restart(ctx, now, res.At); err != nil {
			res.State, res.Err = Failed, err
			return res
		}
		o.Progress(s, "restart asked for")
	}
	if err := wait(ctx, c, s, o); err != nil {
		res.State, res.Err = Failed, err
		return res
	}
	res.Ready = o.Now().UTC()
	return res
}

// wait looks at a rollout until it is done, and fails when its controller gives
// up, when it is gone, or when the time is over.
func wait(ctx context.Context, c Cluster, s Step, o ApplyOptions) error {
	limit, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	tick := time.NewTicker(o.Poll)
	defer tick.Stop()
	last, errs := "", 0
	for {
		r, err := c.Rollout(limit, s.Ref)
		var gone cluster.ErrGone
		switch {
		case limit.Err() != nil:
		case errors.As(err, &gone):
			return err
		case err != nil:
			if errs++; errs >= maxErrors {
				return fmt.Errorf("%w (%d times in a row)", err, errs)
			}
		case r.Done():
			return nil
		case r.Seen && r.Stuck != "":
			return fmt.Errorf("the rollout is stuck: %s; %s", r.Progress(), r.Stuck)
		default:
			errs = 0
			if p := r.Progress(); p != last {
				o.Progress(s, p)
				last = p
			}
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if last == "" {
				last = "nothing was seen of it"
			}
			return fmt.Errorf("not ready after %s: %s", o.Timeout, last)
		case <-tick.C:
		}
	}
}

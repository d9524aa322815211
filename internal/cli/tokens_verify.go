package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/internal/restart"
	"github.com/kubecred/kubecred/satoken"
)

// aftermath is what the audit log shows of a workload after its restart.
type aftermath struct {
	// Verdict is satoken.Healed or satoken.Snoozed, "" where nothing was seen.
	Verdict satoken.Verdict
	// Until is when a snoozed workload is refused; of a healed one, when it would
	// be if its client never read the new token again. Proved tells that it does.
	Until  time.Time
	Proved bool
	// Basis is what the verdict rests on.
	Basis basis
	// Pods of All new ones were seen.
	Pods, All int
	Note      string
	// Trouble is what kept the last look from seeing the workload, if anything.
	Trouble string
}

// basis is what a verdict after a restart rests on.
type basis string

// The grounds of a verdict, the strongest first.
const (
	// byMark: the API server marked the new token as stale.
	byMark basis = "mark"
	// bySecondToken: a new pod was seen with a second token.
	bySecondToken basis = "second-token"
	// byKnowledge: the program is a known offender.
	byKnowledge basis = "known-offender"
	// bySameImage: what runs now ran before, and the log shows what it did with
	// its token then.
	bySameImage basis = "same-image"
	// byUse: a new token is in use, and no more is known.
	byUse basis = "use"
)

// The rhythm of watching: every look reads the whole log, so a slow one makes
// the next one wait, and one of an engine that bills what it scans is seldom.
// After the first new token the other pods get settle more looks to show theirs.
const (
	verifyEvery      = 3 * time.Second
	verifyEngines    = 20 * time.Second
	settle           = 3
	maxBlindLooks    = 5           // in a row, at a log that cannot be read at all
	verifyBackwards  = time.Minute // before the first restart: clocks differ
	verifyProveBound = 70 * time.Minute
)

// verifyAll watches the audit log until it shows new tokens of each workload
// that was restarted, or until the time is over. What keeps it from seeing is
// told as it happens, and is a finding in the end if it lasts.
func (r *restartRun) verifyAll(ctx context.Context, a *app) error {
	r.seen = map[cluster.Ref]aftermath{}
	var open []restart.Result
	for _, res := range r.results {
		if res.State == restart.Restarted || res.State == restart.Waited || res.State == restart.Already {
			open = append(open, res)
		}
	}
	if len(open) == 0 {
		return nil
	}
	fmt.Fprintf(a.Stderr, "watching %s for the new tokens of %s, %s at most\n", strings.Join(r.sources, ", "), plural(len(open), "workload", "workloads"), r.o.verifyTimeout)
	limit, cancel := context.WithTimeout(ctx, r.o.verifyTimeout)
	defer cancel()
	every := verifyEvery
	if slices.ContainsFunc(r.sources, isEngine) {
		every = verifyEngines
	}
	looks, told, blind, read := map[cluster.Ref]int{}, map[string]bool{}, 0, false
	tell := func(problems []finding.Finding) {
		for _, f := range problems {
			if line := f.Subject + ": " + f.Message; !told[line] {
				told[line] = true
				fmt.Fprintf(a.Stderr, "%s; trying on\n", report.Clean(line))
			}
		}
	}
	for {
		began := time.Now()
		s, err := a.scanTokens(limit, r.sources, tokenOptions{profile: r.o.profile, all: true, since: r.sinceRestart(a.Now()), quiet: true})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if limit.Err() != nil {
			if !read && blind == 0 {
				r.problems = append(r.problems, finding.New("KC306", strings.Join(r.sources, ", "), fmt.Sprintf("was not read to its end within %s", r.o.verifyTimeout)))
			}
			return nil
		}
		if err != nil {
			// Nothing at all could be read.
			name := strings.Join(r.sources, ", ")
			r.problems = []finding.Finding{finding.New("KC306", name, strings.TrimPrefix(oneLine(err.Error()), name+": "))}
			tell(r.problems)
			if blind++; blind == maxBlindLooks {
				return nil
			}
		} else {
			blind, read = 0, true
			r.problems = slices.DeleteFunc(s.sourceFindings(), func(f finding.Finding) bool { return f.Code != "KC306" })
			tell(r.problems)
			open = r.lookAtAll(limit, a, open, s, looks)
		}
		if len(open) == 0 {
			return nil
		}
		pause := time.NewTimer(max(every, time.Since(began)))
		select {
		case <-limit.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// sinceRestart is how far back to look for what came after the first restart.
func (r *restartRun) sinceRestart(now time.Time) string {
	from := now
	for _, res := range r.results {
		if !res.Step.Rollout.RestartedAt.IsZero() && res.Step.Rollout.RestartedAt.Before(from) && res.State == restart.Already {
			from = res.Step.Rollout.RestartedAt
		}
		if !res.At.IsZero() && res.At.Before(from) {
			from = res.At
		}
	}
	return fmt.Sprintf("%ds", int(now.Sub(from.Add(-verifyBackwards)).Seconds())+1)
}

// lookAtAll asks one reading of the log about the workloads that are still open,
// and returns those that stay so.
func (r *restartRun) lookAtAll(ctx context.Context, a *app, open []restart.Result, s tokenScan, looks map[cluster.Ref]int) []restart.Result {
	return slices.DeleteFunc(open, func(res restart.Result) bool {
		v, err := r.look(ctx, res, s)
		if err != nil {
			if ctx.Err() == nil {
				v.Trouble = oneLine(err.Error())
				if r.seen[res.Ref].Trouble != v.Trouble {
					fmt.Fprintf(a.Stderr, "%s: %s; trying on\n", workloadTitle(res.Ref), report.Clean(v.Trouble))
				}
				if r.seen[res.Ref].Verdict == "" {
					r.seen[res.Ref] = v
				}
			}
			return false
		}
		r.seen[res.Ref] = v
		if v.Verdict == "" {
			return false
		}
		looks[res.Ref]++
		done := v.Proved
		if !r.o.prove {
			done = done || v.Verdict == satoken.Snoozed || v.Pods == v.All || looks[res.Ref] > settle
		}
		if done {
			fmt.Fprintf(a.Stderr, "%s: %s\n", workloadTitle(res.Ref), v)
		}
		return done
	})
}

// look asks one reading of the log about one workload.
func (r *restartRun) look(ctx context.Context, res restart.Result, s tokenScan) (aftermath, error) {
	ro, err := r.client.Rollout(ctx, res.Ref)
	if err != nil {
		return aftermath{}, err
	}
	pods, err := r.client.PodsOf(ctx, ro)
	if err != nil {
		return aftermath{}, err
	}
	since := ro.RestartedAt
	pods = slices.DeleteFunc(pods, func(p cluster.Pod) bool { return p.Created.Before(since) })
	before := r.before[res.Ref]
	v := verifyPods(pods, s.judged, before.tokens)
	if v.Verdict == satoken.Healed && !v.Proved {
		now, err := r.client.ProcessesOf(ctx, ro)
		if err != nil {
			return aftermath{}, err
		}
		v.judgeByEarlier(before, now, pods)
	}
	return v, nil
}

// verifyPods says what a log shows of new pods. before are the workload's tokens
// before the restart.
func verifyPods(pods []cluster.Pod, j satoken.Judgement, before []satoken.Token) aftermath {
	v := aftermath{All: len(pods)}
	for _, p := range pods {
		seen := tokensOf(p, j.Tokens)
		if len(seen) == 0 {
			continue
		}
		v.Pods++
		if v.Verdict != satoken.Snoozed {
			v.Verdict, v.Basis = satoken.Healed, cmp.Or(v.Basis, byUse)
			if readsAgain(seen, before) {
				v.Proved, v.Basis = true, bySecondToken
			}
			if until := p.Created.Add(j.Profile.Life()); v.Until.IsZero() || until.Before(v.Until) {
				v.Until = until
			}
		}
		for _, t := range seen {
			if t.Verdict != satoken.Stale && t.Verdict != satoken.Dead {
				continue
			}
			if v.Verdict != satoken.Snoozed || t.DiesAt.Before(v.Until) {
				v.Verdict, v.Proved, v.Basis, v.Until = satoken.Snoozed, true, byMark, t.DiesAt
				v.Note = "its new token is stale again"
			}
		}
	}
	return v
}

// String says it in a line.
func (v aftermath) String() string {
	switch {
	case v.Verdict == satoken.Snoozed && v.Until.IsZero():
		return "snoozed: " + v.Note
	case v.Verdict == satoken.Snoozed:
		return "snoozed until " + finding.Moment(v.Until) + ": " + v.Note
	case v.Verdict != satoken.Healed && v.Trouble != "":
		return "its new pods could not be looked for: " + v.Trouble
	case v.Verdict != satoken.Healed && v.All == 0:
		return "no pod of it is newer than its restart"
	case v.Verdict != satoken.Healed:
		return "no request of its new pods was seen"
	}
	line := "healed: a new token is in use"
	if v.Pods < v.All {
		line += fmt.Sprintf(" in %d of %d pods", v.Pods, v.All)
	}
	switch {
	case v.Proved:
		return line + ", and read again"
	case v.Basis == bySameImage:
		return line + ", " + v.Note
	case v.Note != "":
		line += " " + v.Note
	}
	return line + "; if its client never reads it again, it is refused from " + finding.Moment(v.Until) + " on"
}

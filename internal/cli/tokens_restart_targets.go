package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/lazyexp"
	"github.com/kubecred/kubecred/internal/restart"
	"github.com/kubecred/kubecred/satoken"
)

var workloadArg = lazyexp.New(`^(?:([a-z0-9][a-z0-9.-]*)/)?([a-zA-Z]+)/([a-z0-9][a-z0-9.-]*)$`)

var workloadKinds = map[string]cluster.Ref{
	"deployment": {Kind: "Deployment", APIVersion: "apps/v1"}, "daemonset": {Kind: "DaemonSet", APIVersion: "apps/v1"},
	"statefulset": {Kind: "StatefulSet", APIVersion: "apps/v1"}, "cronjob": {Kind: "CronJob", APIVersion: "batch/v1"},
	"job": {Kind: "Job", APIVersion: "batch/v1"},
}

var kindAliases = map[string]string{
	"deployments": "deployment", "deploy": "deployment", "daemonsets": "daemonset", "ds": "daemonset",
	"statefulsets": "statefulset", "sts": "statefulset", "cronjobs": "cronjob", "cj": "cronjob", "jobs": "job",
}

// split tells workloads from sources, and refuses flags that don't fit.
func (o restartOptions) split(args []string) (named []cluster.Ref, sources []string, err error) {
	for _, arg := range args {
		if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
			if ref, ok, err := o.workload(arg); err != nil {
				return nil, nil, err
			} else if ok {
				if !slices.Contains(named, ref) {
					named = append(named, ref)
				}
				continue
			}
			if arg != "-" && !strings.Contains(arg, "://") {
				return nil, nil, fmt.Errorf("%s: no such file, and no workload as in NAMESPACE/KIND/NAME", arg)
			}
		}
		sources = append(sources, arg)
	}
	all := append(slices.Clone(sources), o.logs...)
	switch {
	case len(args) == 0:
		err = errors.New("nothing to restart is named: give an audit log as for tokens scan, or NAMESPACE/KIND/NAME")
	case o.prove && !o.verify:
		err = errors.New("--prove says how long --verify watches: give both")
	case o.verify && !o.apply:
		err = errors.New("--verify looks at what --apply did: give both")
	case o.verify && len(all) == 0:
		err = errors.New("--verify watches an audit log: give one with --audit-log")
	case o.verify && slices.Contains(all, "-"):
		err = errors.New("--verify reads the audit log again and again, which stdin cannot do: give a file or a directory")
	case o.timeout <= 0 || o.verifyTimeout <= 0:
		err = errors.New("--timeout and --verify-timeout must be longer than nothing")
	case o.within != "" && len(sources) == 0:
		err = errors.New("--within is for what an audit log shows: give one")
	}
	if o.within != "" && err == nil {
		if _, werr := satoken.ParseDuration(o.within); werr != nil {
			err = fmt.Errorf("--within: %w", werr)
		}
	}
	return named, sources, err
}

// workload reads NAMESPACE/KIND/NAME or KIND/NAME.
func (o restartOptions) workload(arg string) (cluster.Ref, bool, error) {
	m := workloadArg().FindStringSubmatch(arg)
	if m == nil {
		return cluster.Ref{}, false, nil
	}
	kind := strings.ToLower(m[2])
	if full, ok := kindAliases[kind]; ok {
		kind = full
	}
	ref, ok := workloadKinds[kind]
	if !ok {
		if m[1] != "" {
			return ref, false, fmt.Errorf("%s: there is no such file, and %s is no kind that can be restarted: use deployment, daemonset or statefulset", arg, m[2])
		}
		return ref, false, nil
	}
	ref.Namespace, ref.Name = m[1], m[3]
	switch {
	case ref.Namespace != "":
	case len(o.namespaces) == 1:
		ref.Namespace = o.namespaces[0]
	default:
		return ref, false, fmt.Errorf("%s: in which namespace? give NAMESPACE/%s, or one -n", arg, arg)
	}
	return ref, true, nil
}

// targets finds the workloads of the tokens that a scan found dying.
func (r *restartRun) targets(ctx context.Context, s tokenScan) ([]restart.Target, error) {
	within := time.Duration(0)
	if r.o.within != "" {
		var err error
		if within, err = satoken.ParseDuration(r.o.within); err != nil {
			return nil, fmt.Errorf("--within: %w", err)
		}
	}
	r.at, r.tokens = s.judged.At, map[cluster.Ref][]satoken.Token{}
	byRef := map[cluster.Ref]*restart.Target{}
	var order []cluster.Ref
	for _, t := range s.judged.Tokens {
		dies, dying := dyingAt(t)
		if !dying || within > 0 && dies.After(r.at.Add(within)) {
			continue
		}
		ns, _, _ := strings.Cut(t.ServiceAccount, "/")
		if len(r.o.namespaces) > 0 && !slices.Contains(r.o.namespaces, ns) {
			continue
		}
		ref, above, pod, err := r.owner(ctx, ns, t)
		if err != nil {
			return nil, err
		}
		target := byRef[ref]
		if target == nil {
			target = &restart.Target{Ref: ref, Above: above, Since: r.resume, Gone: t.Pod != ""}
			byRef[ref] = target
			order = append(order, ref)
		}
		r.tokens[ref] = append(r.tokens[ref], t)
		if pod != nil {
			target.Gone = false
			if !slices.Contains(target.Pods, pod.Name) {
				target.Pods = append(target.Pods, pod.Name)
			}
			if pod.Created.After(target.Since) {
				target.Since = pod.Created
			}
		}
		if target.Why == "" || dies.Before(target.Dies) {
			target.Dies, target.Why = dies, whyRestart(t, dies, r.at)
		}
	}
	var out []restart.Target
	for _, ref := range order {
		out = append(out, *byRef[ref])
	}
	return out, nil
}

// dyingAt tells whether a restart would do something for a token, and when its
// client is refused.
func dyingAt(t satoken.Token) (time.Time, bool) {
	switch t.Verdict {
	case satoken.Stale, satoken.Dead:
		return t.DiesAt, true
	case satoken.Snoozed:
		return time.Time{}, false // its successor is a stale token of its own
	}
	return time.Time{}, false
}

func whyRestart(t satoken.Token, dies, now time.Time) string {
	why := "stale token"
	switch {
	case t.Verdict == satoken.Dead:
		why = "dead since " + finding.Moment(dies)
	case dies.IsZero():
	default:
		why += ", " + refusedFrom(dies, now)
	}
	if t.Partial {
		why += ", in one of the pod's clients"
	}
	if t.Offender != nil {
		why += "; " + t.Offender.Name
	}
	return why
}

// owner finds the workload of a token's pod: in the cluster while the pod is
// there, else by its name.
func (r *restartRun) owner(ctx context.Context, ns string, t satoken.Token) (ref, above cluster.Ref, pod *cluster.Pod, err error) {
	byName := cluster.Ref{Kind: t.Workload.Kind, Namespace: ns, Name: t.Workload.Name}
	if known, ok := workloadKinds[strings.ToLower(byName.Kind)]; ok {
		byName.APIVersion = known.APIVersion
	}
	if t.Pod == "" {
		if byName.Kind == "" {
			byName.Kind = "ServiceAccount"
		}
		return byName, above, nil, nil
	}
	p, err := r.client.PodOwner(ctx, ns, t.Pod)
	var gone cluster.ErrGone
	switch {
	case errors.As(err, &gone), err == nil && t.PodUID != "" && p.UID != t.PodUID:
		return byName, above, nil, nil
	case err != nil:
		return byName, above, nil, err
	}
	return p.Owner, p.Above, &p, nil
}

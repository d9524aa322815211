package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/restart"
	"github.com/kubecred/kubecred/satoken"
)

// restartOptions say what is restarted and how.
type restartOptions struct {
	tokenOptions
	clusterOptions
	output
	logs                   []string
	within, resume         string
	apply, verify, prove   bool
	ignoreBudgets          bool
	timeout, verifyTimeout time.Duration
}

func (a *app) tokensRestartCommand() *cobra.Command {
	var o restartOptions
	var printRBAC bool
	cmd := &cobra.Command{
		Use:   "restart [SOURCE|WORKLOAD]...",
		Short: "Give the pods with dying tokens new ones: a plan, and with --apply rolling restarts",
		Long: `Plan the restart of what a scan of audit logs finds dying, or of workloads that
are named, and with --apply carry it out: one after the other, the first to die
first, each waited for until its pods are ready, and nothing after the first
that fails. Run the same command again to go on: what was restarted since is
not restarted again.

A restart gives a new token. A client that never reads its token again dies with
that one too, a token's life later: it buys time. --verify watches the audit log
after the restart and says which is the case.

SOURCE is what 'tokens scan' takes. WORKLOAD is NAMESPACE/KIND/NAME, or KIND/NAME
in the namespace of -n.`,
		Example: `  kubecred tokens restart /var/log/kubernetes/audit/
  kubecred tokens restart --within 7d --apply --verify /var/log/kubernetes/audit/
  kubecred tokens restart --apply kube-system/daemonset/kube2iam apps/deployment/reporter`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if printRBAC {
				fmt.Fprint(a.Stdout, restartRBAC)
				return nil
			}
			if o.prove && !cmd.Flags().Changed("verify-timeout") {
				o.verifyTimeout = verifyProveBound
			}
			return a.restart(cmd.Context(), args, o)
		},
	}
	flags := cmd.Flags()
	o.registerFormat(flags, []string{"text", "json"})
	o.registerFailOn(cmd)
	o.tokenOptions.register(flags)
	o.clusterOptions.register(flags)
	flags.StringArrayVar(&o.logs, "audit-log", nil, "a `source` like SOURCE, for --verify of workloads that are named; may be given again")
	flags.StringVar(&o.within, "within", "", "only what dies within this `duration`, such as 24h or 30d, or is dead")
	flags.StringVar(&o.resume, "resume", "", "leave alone what was restarted at this `time` (RFC 3339) or after")
	flags.BoolVar(&o.apply, "apply", false, "carry the plan out")
	flags.BoolVar(&o.verify, "verify", false, "after the restarts, watch the audit log until it shows new tokens: healed, or snoozed until a date")
	flags.BoolVar(&o.prove, "prove", false, "with --verify, watch on until each workload has read a second token, or had its new one marked as stale: an hour or so")
	flags.BoolVar(&o.ignoreBudgets, "ignore-budgets", false, "restart also where a rollout goes below a PodDisruptionBudget")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long one workload may take to be ready")
	flags.DurationVar(&o.verifyTimeout, "verify-timeout", 5*time.Minute, "how long to watch the audit log; 70m with --prove")
	flags.BoolVar(&printRBAC, "print-rbac", false, "print the rights that this command needs, as a ClusterRole, and do nothing else")
	return cmd
}

// restart makes the plan, shows it, and carries it out if asked to.
func (a *app) restart(ctx context.Context, args []string, o restartOptions) error {
	if err := o.output.check([]string{"text", "json"}); err != nil {
		return err
	}
	named, sources, err := o.split(args)
	if err != nil {
		return err
	}
	if err := oneCluster(append(slices.Clone(sources), o.logs...)); err != nil {
		return err
	}
	client, err := a.connect(o.clusterOptions)
	if err != nil {
		return err
	}
	run := restartRun{o: o, client: client, sources: append(sources, o.logs...)}
	if run.at, err = a.judgedAt(o.now); err != nil {
		return err
	}
	if run.profile, err = satoken.ParseProfile(o.profile); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	if o.resume != "" {
		if run.resume, err = time.Parse(time.RFC3339, o.resume); err != nil {
			return fmt.Errorf("--resume %q: write it like 2026-11-22T04:13:00Z", o.resume)
		}
	}
	var targets []restart.Target
	for _, ref := range named {
		targets = append(targets, restart.Target{Ref: ref, Why: "named on the command line", Since: run.resume})
	}
	if len(sources) > 0 {
		s, err := a.scanTokens(ctx, sources, o.tokenOptions)
		if err != nil {
			return err
		}
		run.problems = slices.DeleteFunc(s.sourceFindings(), func(f finding.Finding) bool { return f.Code != "KC306" })
		run.log = s.judged.Tokens
		found, err := run.targets(ctx, s)
		if err != nil {
			return err
		}
		targets = append(targets, found...)
	}
	if err := run.plan(ctx, targets); err != nil {
		return err
	}
	if !o.apply {
		if err := a.showRestart(run); err != nil {
			return err
		}
		return o.status(run.report())
	}
	if o.format == "text" {
		if err := a.showRestart(run); err != nil {
			return err
		}
	}
	if o.verify {
		run.rememberAll(ctx, a, len(named) > 0)
	}
	run.apply(ctx, a)
	if o.verify && ctx.Err() == nil {
		// Also where it was interrupted, the restarts have been made.
		if err := run.verifyAll(ctx, a); err != nil {
			run.problems = append(run.problems, finding.New("KC306", strings.Join(run.sources, ", "), "watching was interrupted"))
		}
	}
	if err := a.showRestarted(run); err != nil {
		return err
	}
	return o.status(run.report())
}

// restartRun is a plan and what became of it.
type restartRun struct {
	o       restartOptions
	client  *cluster.Client
	sources []string
	at      time.Time
	resume  time.Time
	profile satoken.Profile
	steps   []restart.Step
	// results and seen are of a plan that was carried out.
	results []restart.Result
	seen    map[cluster.Ref]aftermath
	// problems are the parts of the audit log that could not be read: for the plan,
	// and after --verify at its last look.
	problems []finding.Finding
	// tokens are those that the scan found dying, by workload.
	tokens map[cluster.Ref][]satoken.Token
	// log is all that the scan showed. before is what was known of each workload
	// before its restart.
	log    []satoken.Token
	before map[cluster.Ref]earlier
}

var workloadArg = regexp.MustCompile(`^(?:([a-z0-9][a-z0-9.-]*)/)?([a-zA-Z]+)/([a-z0-9][a-z0-9.-]*)$`)

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
	m := workloadArg.FindStringSubmatch(arg)
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

// plan decides about each target.
func (r *restartRun) plan(ctx context.Context, targets []restart.Target) error {
	budgets := map[string][]cluster.Budget{}
	for _, t := range targets {
		if s, ok := restart.WithoutRollout(t); ok {
			r.steps = append(r.steps, s)
			continue
		}
		ro, err := r.client.Rollout(ctx, t.Ref)
		var gone cluster.ErrGone
		if errors.As(err, &gone) {
			r.steps = append(r.steps, restart.Step{Target: t, Action: restart.Nothing, Reason: "it is not there any more"})
			if t.Why == "named on the command line" {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		b, ok := budgets[t.Ref.Namespace]
		if !ok {
			if b, err = r.client.Budgets(ctx, t.Ref.Namespace); err != nil {
				return err
			}
			budgets[t.Ref.Namespace] = b
		}
		r.steps = append(r.steps, restart.Decide(t, ro, b, restart.Options{IgnoreBudgets: r.o.ignoreBudgets}))
	}
	restart.Order(r.steps)
	return nil
}

// apply carries the plan out and tells how it goes on stderr.
func (r *restartRun) apply(ctx context.Context, a *app) {
	work := 0
	number := map[cluster.Ref]int{}
	for _, s := range r.steps {
		if s.Action == restart.Restart || s.Action == restart.Wait {
			work++
			number[s.Ref] = work
		}
	}
	r.results = restart.Apply(ctx, r.client, r.steps, restart.ApplyOptions{
		Timeout: r.o.timeout, Poll: 2 * time.Second, Now: a.Now,
		Progress: func(s restart.Step, what string) {
			fmt.Fprintf(a.Stderr, "%d of %d  %s: %s\n", number[s.Ref], work, workloadTitle(s.Ref), what)
		},
	})
}

// restartRBAC is what the command asks of the API server.
const restartRBAC = `# What 'kubecred tokens restart' needs. Without --apply it does without patch.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubecred-tokens-restart
rules:
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
- apiGroups: [apps]
  resources: [deployments, daemonsets, statefulsets]
  verbs: [get, patch]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [get]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list]
`

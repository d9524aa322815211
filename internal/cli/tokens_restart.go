package cli

import (
	"context"
	"errors"
	"fmt"
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
	run := restartRun{o: o, sources: append(sources, o.logs...)}
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
	if run.client, err = a.connect(o.clusterOptions); err != nil {
		return err
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

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/calendar"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/release"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/satoken"
)

// clusterOptions say which cluster to read.
type clusterOptions struct {
	kubeconfig, context string
	namespaces          []string
}

func (o *clusterOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file`; default $KUBECONFIG, then ~/.kube/config, then the pod's own account")
	flags.StringVar(&o.context, "context", "", "the kubeconfig's `context` to use")
	flags.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "only this `namespace`; may be given again")
}

func (a *app) connect(o clusterOptions) (*cluster.Client, error) {
	return cluster.Connect(cluster.Options{
		Kubeconfig: o.kubeconfig, Context: o.context, Home: a.Home, Getenv: a.Getenv, Version: release.Version(),
	})
}

// listOptions say how a live cluster is judged.
type listOptions struct {
	clusterOptions
	profile, now string
	logs         []string
	since        string
}

func (a *app) tokensListCommand() *cobra.Command {
	var o listOptions
	var out output
	var printRBAC bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Make a calendar of a live cluster's tokens, with no audit log needed",
		Long: `Read a live cluster and say, for each workload, when its oldest process started
and when a client in it that never reads its token again would be refused. That
date is the worst case: most clients read the file again. Known offenders are
found by their images, and token secrets with what Kubernetes will do with them.

With --audit-log the calendar is joined with a scan: what the log shows of a
workload takes the place of the guess.`,
		Example: `  kubecred tokens list
  kubecred tokens list --context prod -n kube-system -n logging
  kubecred tokens list --audit-log /var/log/kubernetes/audit/ -o html > tokens.html`,
		Args: noArguments("name an audit log with --audit-log, a namespace with -n"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if printRBAC {
				fmt.Fprint(a.Stdout, listRBAC)
				return nil
			}
			if err := out.check(report.Names()); err != nil {
				return err
			}
			l, err := a.listTokens(cmd.Context(), o)
			if err != nil {
				return err
			}
			r := finding.NewReport(l.calendar.At, l.findings(), l.sources())
			if out.format != "text" {
				return a.show(&out, r)
			}
			if err := a.writeCalendar(l, r); err != nil {
				return fmt.Errorf("writing the report: %w", err)
			}
			return out.status(r)
		},
	}
	out.register(cmd)
	o.register(cmd.Flags())
	cmd.Flags().StringVar(&o.profile, "profile", "", "how long the cluster extends tokens: eks (90 days), upstream and gke (1 year), aks (not at all), or a `life` such as 24h or 90d; default what the API server's version tells, then upstream")
	cmd.Flags().StringVar(&o.now, "now", "", "judge as of this `time` (RFC 3339)")
	cmd.Flags().StringArrayVar(&o.logs, "audit-log", nil, "join with what this `source` shows, as tokens scan reads it; may be given again")
	cmd.Flags().StringVar(&o.since, "since", "", "leave out what the log says of before this `duration`, such as 24h or 7d")
	cmd.Flags().BoolVar(&printRBAC, "print-rbac", false, "print the rights that this command uses, as a ClusterRole, and do nothing else")
	return cmd
}

// tokenList is what reading a cluster came to.
type tokenList struct {
	snapshot cluster.Snapshot
	calendar calendar.Calendar
	// guessed says why the profile is the one it is, "" where it was given.
	guessed string
	// scan and log are of a log that was joined; nil and empty without one.
	scan *tokenScan
	log  joinedLog
}

func (a *app) listTokens(ctx context.Context, o listOptions) (tokenList, error) {
	now, err := a.judgedAt(o.now)
	if err != nil {
		return tokenList{}, err
	}
	var profile satoken.Profile
	if o.profile != "" {
		if profile, err = satoken.ParseProfile(o.profile); err != nil {
			return tokenList{}, fmt.Errorf("--profile: %w", err)
		}
	}
	if o.since != "" && len(o.logs) == 0 {
		return tokenList{}, errors.New("--since is for --audit-log: give both or none")
	}
	if err := oneCluster(o.logs); err != nil {
		return tokenList{}, err
	}
	client, err := a.connect(o.clusterOptions)
	if err != nil {
		return tokenList{}, err
	}
	var l tokenList
	if l.snapshot, err = client.Read(ctx, o.namespaces); err != nil {
		return tokenList{}, err
	}
	if o.profile == "" {
		profile, l.guessed = guessProfile(l.snapshot.Version)
	}
	if len(o.logs) > 0 {
		s, err := a.scanTokens(ctx, o.logs, tokenOptions{profile: profile.Name, now: o.now, since: o.since, all: true})
		if err != nil {
			return tokenList{}, err
		}
		l.join(s)
	}
	l.calendar = calendar.Of(l.snapshot, profile, now)
	return l, nil
}

// judgedAt is the moment of --now, or the present one.
func (a *app) judgedAt(flag string) (time.Time, error) {
	if flag == "" {
		return a.Now().UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, flag)
	if err != nil {
		return t, fmt.Errorf("--now %q: write it like 2026-11-22T04:13:00Z", flag)
	}
	return t.UTC(), nil
}

// listRBAC is what Client.Read asks for. Where a part is missing, the rest is
// read and the report says so.
const listRBAC = `# What 'kubecred tokens list' reads. Listing secrets is asked for their labels
# only (kubecred asks for metadata), but RBAC cannot grant that alone: leave that
# rule out and the report does without token secrets. To watch is to list as a
# stream, which spares the API server; without it, the lists are read in pages.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubecred-tokens-list
rules:
- apiGroups: [""]
  resources: [serviceaccounts, namespaces]
  verbs: [list]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets, daemonsets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [list]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [kube-apiserver-legacy-service-account-token-tracking]
  verbs: [get]
- nonResourceURLs: [/metrics, /version]
  verbs: [get]
`

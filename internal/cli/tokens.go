package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/satoken"
)

// tokenOptions say how an audit log is judged.
type tokenOptions struct {
	profile string
	now     string
	since   string
	all     bool
	marks   bool
	strict  bool
	// quiet: an engine says nothing of what it costs.
	quiet bool
	// done, if set, counts the bytes that were read, for a progress bar.
	done *atomic.Int64
}

func (o *tokenOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.profile, "profile", "eks", "how long the cluster extends tokens: eks (90 days), upstream and gke (1 year), aks (not at all), or a `life` such as 24h or 90d")
	flags.StringVar(&o.now, "now", "", "judge as of this `time` (RFC 3339), and leave out what the log says of later")
	flags.StringVar(&o.since, "since", "", "leave out what the log says of before this `duration`, such as 24h or 7d")
}

func (a *app) tokensCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Find service account tokens that are about to die",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokensScanCommand(), a.tokensListCommand(), a.tokensRestartCommand())
	return cmd
}

func (a *app) tokensScanCommand() *cobra.Command {
	var o tokenOptions
	var out output
	cmd := &cobra.Command{
		Use:   "scan SOURCE...",
		Short: "Find in audit logs the pods that will be refused, when, and what mends them",
		Long: `Read Kubernetes audit logs and say which service account tokens are stale, when
the API server will refuse them, who uses them, and what mends that.

SOURCE is a file, a directory (read with all below it) or '-' for stdin. What it
holds is recognised by itself: plain text, also in UTF-16; gzip, zstd, bzip2 or
snappy; archives of such files (tar, zip); an event a line, an EventList, or what
log services make of them (CloudWatch records, exports and query results,
AKSAudit rows and log_s, GKE entries, Fluent Bit, Vector and others that keep the
event as a string). Cut and corrupt lines are counted, not fatal.
All files make one report. Accounts of two clusters that have one name are told apart
by their uid; but a 401 names no account, so a run for each cluster says more.

SOURCE may also be an engine that holds the log and filters it itself, asked for
the last hour or for --since:
  cloudwatch://REGION/CLUSTER                         the control plane log of EKS
  loki+https://HOST/?query={job="kube-audit"}         Loki, by the log's selector;
      LOKI_USERNAME and LOKI_PASSWORD or LOKI_BEARER_TOKEN, and LOKI_ORG_ID are sent`,
		Example: `  kubecred tokens scan /var/log/kubernetes/audit/
  zcat audit-*.gz | kubecred tokens scan --profile upstream -
  kubecred tokens scan --profile eks --since 24h -o json audit.log
  kubecred tokens scan -o ics cloudwatch://eu-west-1/prod > deaths.ics`,
		Args: between(1, -1, "give a SOURCE: an audit log, a directory of them, - for stdin, cloudwatch://... or loki+https://..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(report.Names()); err != nil {
				return err
			}
			// What a scan keeps is small and full of pointers: to collect it often costs
			// more than the scan of a small log, and the soft limit bounds the peak.
			defer debug.SetGCPercent(debug.SetGCPercent(200))
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(softLimit))
			leaveStart()
			bar := a.startProgress("reading audit logs", args)
			o.done = bar.done()
			s, err := a.scanTokens(cmd.Context(), args, o)
			bar.stop()
			if err != nil {
				return err
			}
			s.brief = out.format == "text" || out.format == "json"
			r := finding.NewReport(s.judged.At, s.findings(), s.sources())
			switch out.format {
			case "text":
				err = a.writeTokens(s, r)
			case "json":
				err = writeTokenReport(a.Stdout, s)
			case "csv":
				err = writeTokenTable(a.Stdout, s)
				a.sayUnread(slices.DeleteFunc(s.sourceFindings(), func(f finding.Finding) bool { return f.Code != "KC306" }))
			default:
				return a.show(&out, r)
			}
			if err != nil {
				return fmt.Errorf("writing the report: %w", err)
			}
			return out.status(r)
		},
	}
	out.register(cmd)
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.all, "all", false, "report every token that was seen, not only stale ones and their pods' and accounts' fresh ones; of more than 20,000 not those that were never marked and are long out of use")
	cmd.Flags().BoolVar(&o.marks, "marks", false, "look at stale-token marks and 401s only, at full speed: nothing is known of fresh tokens then")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "decode every byte of every event, slowly: a check of the fast way, which comes to the same")
	return cmd
}

// softLimit is where the collector begins to work harder, so that a scan stays
// below 64 MiB with 10,000 live tokens.
const softLimit = 30 << 20

// tokenScan is what a scan of audit logs came to.
type tokenScan struct {
	judged satoken.Judgement
	stats  []auditlog.Stats
	names  []string // of the sources, as they were given
	all    bool
	marks  bool
	// brief: findings need no evidence, since the format has its own.
	brief bool
}

// scanTokens reads the sources and judges the tokens in them.
func (a *app) scanTokens(ctx context.Context, names []string, o tokenOptions) (tokenScan, error) {
	now, err := a.judgedAt(o.now)
	if err != nil {
		return tokenScan{}, err
	}
	judge := satoken.JudgeOptions{Now: now, All: o.all, MarksOnly: o.marks}
	var tally satoken.TallyOptions
	if judge.Profile, err = satoken.ParseProfile(o.profile); err != nil {
		return tokenScan{}, fmt.Errorf("--profile: %w", err)
	}
	if o.now != "" {
		tally.Until = judge.Now.Add(satoken.CacheLag)
	}
	if o.since != "" {
		d, err := satoken.ParseDuration(o.since)
		if err != nil {
			return tokenScan{}, fmt.Errorf("--since: %w", err)
		}
		if d <= 0 {
			return tokenScan{}, fmt.Errorf("--since %q: a duration above zero is needed", o.since)
		}
		tally.From = judge.Now.Add(-d)
	}
	logs, err := a.logs(ctx, names, o, judge.Now)
	if err != nil {
		return tokenScan{}, err
	}
	out := tokenScan{names: names, all: o.all, marks: o.marks}
	for i, l := range logs {
		t := satoken.NewTally(tally)
		stats, err := auditlog.Scan(ctx, l.sources, auditlog.Options{Done: o.done, MarksOnly: o.marks, Strict: o.strict, Fold: t.Fold()}, t.Add)
		if err != nil {
			return tokenScan{}, err
		}
		out.stats = append(out.stats, stats...)
		if j := t.Judge(judge); i == 0 {
			out.judged = ofCluster(j, l.cluster)
		} else {
			out.judged = together(out.judged, ofCluster(j, l.cluster))
		}
	}
	engines := slices.ContainsFunc(names, isEngine)
	if err := nothingRead(names, out.stats); err != nil && !(engines && answered(out.stats)) {
		return tokenScan{}, err
	}
	return out, nil
}

// nothingRead returns an error where no source held a single audit event.
func nothingRead(names []string, stats []auditlog.Stats) error {
	if len(stats) == 0 {
		return fmt.Errorf("%s: no file in it", names[0])
	}
	var bad *auditlog.Stats
	for i, s := range stats {
		if s.Events > 0 || s.Skipped {
			return nil
		}
		if s.Err != nil && bad == nil {
			bad = &stats[i]
		}
	}
	if bad != nil {
		return fmt.Errorf("%s: %s", bad.Name, bad.Reason())
	}
	s := stats[0]
	more := ""
	if len(stats) > 1 {
		more = fmt.Sprintf(", nor in %s", plural(len(stats)-1, "other file", "other files"))
	}
	switch {
	case s.Bytes == 0:
		return fmt.Errorf("%s: empty, so there is no audit event in it%s", s.Name, more)
	case s.BadLine > 0:
		return fmt.Errorf("%s:%d: no audit event in it%s: %s", s.Name, s.BadLine, more, s.BadReason)
	case s.Other == 0 && s.Long == 0:
		return fmt.Errorf("%s: nothing but empty lines, so there is no audit event in it%s", s.Name, more)
	case s.Long > 0:
		return fmt.Errorf("%s: no audit event in it%s: its only line is longer than an event can be", s.Name, more)
	}
	return fmt.Errorf("%s: no audit event in it%s, though it is JSON: a log of kind Event and apiVersion audit.k8s.io/v1 is wanted", s.Name, more)
}

// scanForDoctor checks audit logs as a part of doctor.
func (a *app) scanForDoctor(ctx context.Context, names []string, o tokenOptions) (part, error) {
	s, err := a.scanTokens(ctx, names, o)
	if err != nil {
		return part{}, err
	}
	return part{findings: s.findings(), sources: s.sources()}, nil
}

// plural writes a number with its noun.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + many
}

// thousands writes a number with commas.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

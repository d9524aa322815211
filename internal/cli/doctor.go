package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/explain"
	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

type doctorOptions struct {
	output
	from        string
	kubeconfigs []string
	auditLogs   []string
	imageConfig []string
	binDir      string
	cluster     bool
	context     string
	// profiled tells whether --profile was given: a live cluster can be asked
	// for its version, so there the default is a better guess than a constant.
	profiled bool
	tokens   tokenOptions
}

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check every credential in reach and say what breaks, when, and what mends it",
		Long: `Check kubeconfigs, audit logs and the kubelet's credential provider configs side
by side, and say what is broken or about to break, why, when, and what mends it.

Where no source is given, doctor looks in the usual places: the kubeconfigs of
KUBECONFIG or ~/.kube/config; on a control-plane node the API server's audit log;
on a node the kubelet's flags and its credential provider config. Where one is
given, it checks what is given and nothing else. It changes nothing.`,
		Example: `  kubecred doctor
  kubecred doctor --kubeconfig ~/.kube/config --audit-log /var/log/kubernetes/audit/
  zcat audit.log.gz | kubecred doctor --audit-log - -o html > report.html
  kubecred doctor --cluster --audit-log audit.log -o html > report.html
  kubecred doctor -o json > report.json; kubecred doctor --from report.json`,
		Args: noArguments("name what to check with --kubeconfig, --audit-log or --image-config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.profiled = cmd.Flags().Changed("profile")
			return a.doctor(cmd.Context(), &o)
		},
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "show a saved JSON `report` again instead of checking anything; - for stdin")
	flags.StringArrayVar(&o.kubeconfigs, "kubeconfig", nil, "kubeconfig `file` to check, - for stdin; may be repeated")
	flags.StringArrayVar(&o.auditLogs, "audit-log", nil, "audit log `source` to read, as for tokens scan, - for stdin; may be repeated")
	flags.StringArrayVar(&o.imageConfig, "image-config", nil, "credential provider config `path`, a file or a directory, - for stdin; may be repeated")
	flags.StringVar(&o.binDir, "bin-dir", "", "`directory` of the credential provider plugins")
	flags.BoolVar(&o.cluster, "cluster", false, "read the live cluster too, and join it with the audit logs")
	flags.StringVar(&o.context, "context", "", "the kubeconfig's `context` for --cluster")
	o.tokens.register(flags)
	return cmd
}

func (a *app) doctor(ctx context.Context, o *doctorOptions) error {
	if err := o.check(report.Names()); err != nil {
		return err
	}
	if err := o.oneStdin(); err != nil {
		return err
	}
	if o.from != "" {
		r, err := a.readReport(ctx, o.from)
		if err != nil {
			return err
		}
		return a.show(&o.output, r)
	}
	at, err := a.judgedAt(o.tokens.now)
	if err != nil {
		return err
	}
	if o.context != "" && !o.cluster {
		return errors.New("--context goes with --cluster, which it chooses")
	}
	if o.cluster && len(o.kubeconfigs) > 1 {
		return errors.New("--cluster reads one cluster: give --kubeconfig once, and --context to choose")
	}
	if o.binDir != "" && len(o.imageConfig) == 0 {
		return errors.New("--bin-dir goes with --image-config, whose plugins are there")
	}
	checks := a.checks(o)
	bar := a.startProgress("reading audit logs", o.auditLogs)
	o.tokens.done = bar.done()
	p, err := gather(ctx, checks)
	bar.stop()
	if err != nil {
		return err
	}
	// What several findings have in common is said once, as a finding of its own.
	for _, c := range explain.Together(p.findings, explain.Options{Now: at}) {
		if c.Sure {
			p.findings = append(p.findings, c.Finding)
		}
	}
	if len(p.sources) == 0 && len(p.findings) == 0 {
		fmt.Fprintln(a.Stderr, "kubecred: no kubeconfig, no audit log and no kubelet in the usual places: give --kubeconfig, --audit-log, --image-config or --cluster")
	}
	return a.show(&o.output, finding.NewReport(at, p.findings, p.sources))
}

// oneStdin refuses options that want stdin side by side, and sources beside a
// saved report, which would not be looked at.
func (o *doctorOptions) oneStdin() error {
	var wants []string
	for _, f := range []struct {
		name   string
		values []string
	}{{"--from", []string{o.from}}, {"--kubeconfig", o.kubeconfigs}, {"--audit-log", o.auditLogs}, {"--image-config", o.imageConfig}} {
		for _, v := range f.values {
			if v == "-" {
				wants = append(wants, f.name+" -")
			}
		}
		if o.from != "" && f.name != "--from" && len(f.values) > 0 {
			return fmt.Errorf("--from shows a saved report and checks nothing: leave %s out", f.name)
		}
	}
	if len(wants) > 1 {
		return fmt.Errorf("stdin can be read only once, and %s want it: give files instead", strings.Join(wants, " and "))
	}
	return nil
}

// check looks at one road and says what it found there.
type check struct {
	road finding.Road
	// unread is the code for a source that could not be read.
	unread string
	run    func(context.Context) (part, error)
}

// checks returns what doctor is to do: what was given, or else the usual places.
func (a *app) checks(o *doctorOptions) []check {
	var out []check
	if o.kubeconfigs == nil && o.auditLogs == nil && o.imageConfig == nil && !o.cluster {
		a.usualPlaces(o)
		out = append(out, check{finding.Node, "KC209", func(ctx context.Context) (part, error) {
			return a.checkKubelet(ctx, a.Root)
		}})
	}
	if len(o.kubeconfigs) > 0 {
		out = append(out, check{finding.Client, "KC120", func(ctx context.Context) (part, error) {
			return a.kubeconfigsForDoctor(ctx, o.kubeconfigs)
		}})
	}
	for _, path := range o.imageConfig {
		out = append(out, check{finding.Node, "KC209", func(ctx context.Context) (part, error) {
			return a.lintImageConfigs(ctx, []string{path}, o.binDir)
		}})
	}
	switch {
	case o.cluster:
		out = append(out, check{finding.Pod, "KC306", func(ctx context.Context) (part, error) {
			return a.listForDoctor(ctx, o)
		}})
	case len(o.auditLogs) > 0:
		out = append(out, check{finding.Pod, "KC306", func(ctx context.Context) (part, error) {
			return a.scanForDoctor(ctx, o.auditLogs, o.tokens)
		}})
	}
	return out
}

// listForDoctor reads the live cluster, joined with the audit logs if any.
func (a *app) listForDoctor(ctx context.Context, o *doctorOptions) (part, error) {
	list := listOptions{
		clusterOptions: clusterOptions{context: o.context},
		now:            o.tokens.now, logs: o.auditLogs, since: o.tokens.since,
	}
	if len(o.kubeconfigs) > 0 {
		list.kubeconfig = o.kubeconfigs[0]
	}
	if o.profiled {
		list.profile = o.tokens.profile
	}
	l, err := a.listTokens(ctx, list)
	if err == nil {
		return part{findings: l.findings(), sources: l.sources()}, nil
	}
	if len(o.auditLogs) == 0 {
		return part{}, err
	}
	// The log says what it says also without the cluster.
	p, logErr := a.scanForDoctor(ctx, o.auditLogs, o.tokens)
	if logErr != nil {
		return part{}, err
	}
	f := finding.New("KC340", "live cluster", "not readable: "+oneLine(err.Error()))
	f.Severity = finding.Error
	p.findings = append(p.findings, f)
	return p, nil
}

// gather runs the checks side by side and joins what they found, in the order
// in which they are given. A check that fails becomes a finding, so that it
// hides nothing of the others; where every check fails there is no report, and
// the first error is returned.
func gather(ctx context.Context, checks []check) (part, error) {
	parts := make([]part, len(checks))
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { parts[i], errs[i] = c.run(ctx) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return part{}, err
	}
	var all part
	failed := 0
	for i, p := range parts {
		if errs[i] != nil {
			failed++
			f := finding.New(checks[i].unread, string(checks[i].road)+" road", "could not be checked: "+oneLine(errs[i].Error()))
			f.Severity = finding.Error
			all.findings = append(all.findings, f)
			continue
		}
		all.add(p)
	}
	if failed > 0 && failed == len(checks) {
		return part{}, errs[0]
	}
	return all, nil
}

// readReport reads a report that was saved with -o json.
func (a *app) readReport(ctx context.Context, name string) (finding.Report, error) {
	in, err := a.open(ctx, name)
	if err != nil {
		return finding.Report{}, err
	}
	defer in.Close()
	r, err := report.Read(in)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

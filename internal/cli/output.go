package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

// output is what every command that reports takes: -o and --fail-on.
type output struct {
	format string
	failOn string
}

func (o *output) register(cmd *cobra.Command) {
	o.registerFormat(cmd.Flags(), report.Names())
	o.registerFailOn(cmd)
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Names(), cobra.ShellCompDirectiveNoFileComp)))
}

func (o *output) registerFormat(flags *pflag.FlagSet, names []string) {
	flags.StringVarP(&o.format, "output", "o", names[0], "format of the report: "+strings.Join(names, ", "))
}

func (o *output) registerFailOn(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.failOn, "fail-on", "error", "exit with status 1 from this severity on: error, warning, never")
	must(cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"error", "warning", "never"}, cobra.ShellCompDirectiveNoFileComp)))
}

// threshold is the severity rank from which a run exits with 1.
func (o *output) threshold() (int, error) {
	switch o.failOn {
	case "error":
		return finding.Error.Rank(), nil
	case "warning":
		return finding.Warning.Rank(), nil
	case "never":
		return finding.Error.Rank() + 1, nil
	}
	return 0, fmt.Errorf("--fail-on %q: use error, warning or never", o.failOn)
}

// failSeverity is from which severity on a finding counts as failed in formats
// that know tests. Where nothing fails the run, errors still show as failed.
func (o *output) failSeverity() finding.Severity {
	if o.failOn == "warning" {
		return finding.Warning
	}
	return finding.Error
}

// check refuses bad flag values before any work is done.
func (o *output) check(names []string) error {
	if _, err := o.threshold(); err != nil {
		return err
	}
	for _, n := range names {
		if n == o.format {
			return nil
		}
	}
	return fmt.Errorf("-o %q: use one of %s", o.format, strings.Join(names, ", "))
}

// show writes the report to stdout and returns the exit status as an error.
func (a *app) show(o *output, r finding.Report) error {
	h, err := report.New(o.format, a.Stdout, report.Options{Color: a.color(), Home: a.Home, FailOn: o.failSeverity()})
	if err != nil {
		return err
	}
	if err := h.Handle(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	a.sayUnread(report.Silent(o.format, r))
	return o.status(r)
}

// sayUnread says on stderr what could not be read, where the report has no place
// for it.
func (a *app) sayUnread(list []finding.Finding) {
	for _, f := range list {
		fmt.Fprintf(a.Stderr, "kubecred: %s  %s: %s\n", f.Code, report.Clean(f.Subject), report.Clean(f.Message))
	}
}

// status is the exit status that the report asks for.
func (o *output) status(r finding.Report) error {
	limit, err := o.threshold()
	if err != nil {
		return err
	}
	if r.Worst().Rank() >= limit {
		return exitError(exitFindings)
	}
	return nil
}

// must is for registrations that fail only by a programming error.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

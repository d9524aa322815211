package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

type doctorOptions struct {
	output
	from string
}

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check every credential in reach and say what breaks, when, and what mends it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(report.Names()); err != nil {
				return err
			}
			if o.from != "" {
				r, err := a.readReport(o.from)
				if err != nil {
					return err
				}
				return a.show(&o.output, r)
			}
			p, err := gather(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(&o.output, finding.NewReport(a.Now(), p.findings, p.sources))
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.from, "from", "", "show a saved JSON report again instead of checking anything; - for stdin")
	return cmd
}

// check looks at one thing and says what it found there.
type check func(context.Context) (part, error)

// gather runs the checks side by side and joins what they found, in the order
// in which they are given. An error of one does not stop the others.
func gather(ctx context.Context, checks ...check) (part, error) {
	parts := make([]part, len(checks))
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { parts[i], errs[i] = c(ctx) })
	}
	wg.Wait()
	var all part
	for _, p := range parts {
		all.add(p)
	}
	return all, errors.Join(errs...)
}

// readReport reads a report that was saved with -o json.
func (a *app) readReport(name string) (finding.Report, error) {
	in := a.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return finding.Report{}, err
		}
		defer f.Close()
		in = f
	}
	r, err := report.Read(in)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

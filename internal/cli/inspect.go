package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/inspect"
	"github.com/kubecred/kubecred/internal/report"
)

type inspectOptions struct {
	output
	now, issuer, audience string
}

func (a *app) inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [-|TOKEN]",
		Short: "Say what a token or a plugin's answer is, and what is wrong with it",
		Long: `Say what a credential is, whose, until when, and what is wrong with it: an EKS
token, a JWT (a service account's above all), or the ExecCredential or
CredentialProviderResponse that a plugin prints. It reads stdin, a file, or its
argument, which others on the machine may see: a token is better piped.

Nothing is sent anywhere. Signatures, keys and passwords are never printed.`,
		Example: `  aws eks get-token --cluster-name demo | kubecred inspect
  kubectl exec app-0 -- cat /var/run/secrets/kubernetes.io/serviceaccount/token | kubecred inspect -
  kubectl create token default | kubecred inspect --audience https://kubernetes.default.svc`,
		Args: between(0, 1, "give one token or one file, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.inspect(cmd.Context(), &o, args) },
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.now, "now", "", "judge as of this time (RFC 3339) instead of the clock's")
	cmd.Flags().StringVar(&o.issuer, "issuer", "", "the issuer that the API server accepts")
	cmd.Flags().StringVar(&o.audience, "audience", "", "the audience that the API server accepts")
	return cmd
}

func (a *app) inspect(ctx context.Context, o *inspectOptions, args []string) error {
	if err := o.check(report.Names()); err != nil {
		return err
	}
	var now time.Time
	if o.now != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, o.now); err != nil {
			return fmt.Errorf("--now %q: give a time such as 2026-11-22T04:13:00Z", o.now)
		}
	}
	name, text, err := a.inspectInput(ctx, args)
	if err != nil {
		return err
	}
	if o.now == "" { // after the plugin at the other end of a pipe has taken its time
		now = a.Now()
	}
	c, err := inspect.Inspect(text, inspect.Options{Now: now, Issuer: o.issuer, Audience: o.audience})
	if errors.Is(err, inspect.ErrUnknown) {
		return fmt.Errorf("%s: %w; 'kubecred explain' takes error messages, logs and configurations", name, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r := finding.NewReport(now, c.Findings, nil)
	switch o.format {
	case "text":
		return a.inspectText(o, c, r)
	case "json":
		return a.inspectJSON(o, c, r)
	}
	return a.show(&o.output, r)
}

// inspectInput reads stdin, a file, or the argument itself.
func (a *app) inspectInput(ctx context.Context, args []string) (name, text string, err error) {
	if len(args) == 0 || args[0] == "-" {
		if len(args) == 0 && a.fromTerminal() {
			return "", "", errors.New("nothing to inspect: pipe a token into it, or give it as the argument")
		}
		data, err := io.ReadAll(io.LimitReader(a.Stdin, inspect.MaxInput+1))
		return "stdin", string(data), err
	}
	if info, err := os.Stat(args[0]); err == nil && len(args[0]) < 4096 {
		if info.IsDir() {
			return "", "", fmt.Errorf("%s is a folder: give a file, or a token", args[0])
		}
		f, err := a.open(ctx, args[0])
		if err != nil {
			return "", "", err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, inspect.MaxInput+1))
		return args[0], string(data), err
	}
	return "argument", args[0], nil
}

func (a *app) inspectText(o *inspectOptions, c inspect.Credential, r finding.Report) error {
	fmt.Fprintln(a.Stdout, c.Kind)
	width := 0
	for _, f := range c.Facts {
		width = max(width, len(f.Label))
	}
	for _, f := range c.Facts {
		if f.Label == "" {
			continue
		}
		line := factText(f.Value)
		if f.Note != "" {
			line += "   (" + f.Note + ")"
		}
		fmt.Fprintf(a.Stdout, "  %-*s   %s\n", width, f.Label, printable(line))
	}
	fmt.Fprintln(a.Stdout)
	if len(c.Findings) == 0 {
		fmt.Fprintln(a.Stdout, "Nothing wrong with it.")
		return nil
	}
	return a.show(&o.output, r)
}

// factText writes a fact's value for people.
func factText(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []string:
		return strings.Join(v, ", ")
	case float64:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprint(v)
}

// inspectJSON writes the report with what the credential says of itself.
func (a *app) inspectJSON(o *inspectOptions, c inspect.Credential, r finding.Report) error {
	facts := map[string]any{}
	for _, f := range c.Facts {
		facts[f.Key] = f.Value
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		finding.Report
		Credential map[string]any `json:"credential"`
	}{r, map[string]any{"kind": c.Kind, "facts": facts}})
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return o.status(r)
}

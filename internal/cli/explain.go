package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/explain"
	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

type whatOptions struct {
	output
	at, kubernetes, profile string
	redact                  bool
}

func (a *app) explainCommand() *cobra.Command {
	var o whatOptions
	cmd := &cobra.Command{
		Use:   "explain WHAT...",
		Short: "Explain an error, a log, a token, a configuration: whatever you have",
		Long: `Explain what stands behind what you have: an error message, a kubeconfig or half
of one, an aws-auth ConfigMap, a credential provider configuration, an image, an
ARN, a token, log and audit lines. Each WHAT is a finding's code (KC101), '-' for
text on stdin, a file, or the text itself. What it is, its content says, not its
name; several are judged together. Nothing is sent anywhere, and no secret in
what you paste is repeated.

The likeliest cause comes first. Where two causes fit, both are shown with what
tells them apart. Where none fits, it says so, and what to add.

The exit status is 0 when there was an answer: a code, a cause, or that nothing
is wrong in what was given. It is 2 when an input cannot be read or an error is
not known. With --fail-on, causes from that severity on make it 1.`,
		Example: `  kubecred explain KC101
  kubecred explain 'exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"'
  kubectl get pods 2>&1 | kubecred explain - ~/.kube/config
  kubecred explain aws-auth.yaml arn:aws:sts::111122223333:assumed-role/admins/bob
  kubecred explain --redact kubelet.log > for-the-issue.txt`,
		Args: between(1, -1, "give a code such as KC101, - for stdin, a file, or the text of an error in quotes"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.explain(cmd.Context(), &o, args) },
	}
	o.registerFormat(cmd.Flags(), report.Names())
	cmd.Flags().StringVar(&o.failOn, "fail-on", "never", "exit with status 1 from this severity on: error, warning, never")
	cmd.Flags().StringVar(&o.at, "at", "", "judge as of this time (RFC 3339) instead of the latest in the input, or now")
	cmd.Flags().StringVar(&o.kubernetes, "kubernetes-version", "", "version of Kubernetes where the input does not name it")
	cmd.Flags().StringVar(&o.profile, "profile", "", "platform where the input does not name it: eks, upstream, gke, aks")
	cmd.Flags().BoolVar(&o.redact, "redact", false, "print the input with every secret, account number and host replaced, and explain nothing")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Names(), cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"error", "warning", "never"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profiles, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

var profiles = []string{"eks", "upstream", "gke", "aks"}

func (o *whatOptions) explain(now time.Time) (explain.Options, error) {
	e := explain.Options{Now: now, KubernetesVersion: o.kubernetes, Profile: o.profile, Audit: judgeAudit}
	if o.at != "" {
		at, err := time.Parse(time.RFC3339, o.at)
		if err != nil {
			return e, fmt.Errorf("--at %q: give a time such as 2026-11-22T04:13:00Z", o.at)
		}
		e.At = at
	}
	if v := strings.TrimPrefix(o.kubernetes, "v"); v != "" && !strings.HasPrefix(v, "1.") {
		return e, fmt.Errorf("--kubernetes-version %q: give a version such as 1.31", o.kubernetes)
	}
	for _, p := range append([]string{""}, profiles...) {
		if p == o.profile {
			return e, nil
		}
	}
	return e, fmt.Errorf("--profile %q: use one of %s", o.profile, strings.Join(profiles, ", "))
}

func (a *app) explain(ctx context.Context, o *whatOptions, args []string) error {
	if err := o.check(report.Names()); err != nil {
		return err
	}
	eo, err := o.explain(a.Now())
	if err != nil {
		return err
	}
	if o.redact {
		return a.redact(ctx, args)
	}
	var codes []finding.Code
	var texts []*explain.Text
	var missing error
	for i, arg := range args {
		if c, ok := finding.Lookup(strings.TrimSpace(arg)); ok {
			codes = append(codes, c)
			continue
		}
		if isCode(arg) {
			return fmt.Errorf("%s is no code of kubecred: %s lists those there are", strings.ToUpper(strings.TrimSpace(arg)), "docs/codes.md")
		}
		t, err := a.input(ctx, arg, i, len(args))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) || len(args) == 1 {
				return err
			}
			// Among others, a path that is not there is a thing that was said.
			missing = errors.Join(missing, err)
			if t, err = explain.NewText(inputName(i, len(args)), arg); err != nil {
				return err
			}
		}
		texts = append(texts, t)
	}
	if o.format != "text" {
		return a.explainReport(o, codes, texts, eo)
	}
	for i, c := range codes {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		a.explainCode(c)
	}
	if len(texts) == 0 {
		return nil
	}
	answer := explain.Judge(texts, eo)
	more, err := a.ask(answer)
	if err != nil {
		return err
	}
	if more != nil {
		answer = explain.Judge(append(texts, more), eo)
	}
	if len(answer.Pieces) == 0 && len(answer.Causes) == 0 {
		return unknown(args, texts, missing)
	}
	if len(codes) > 0 {
		fmt.Fprintln(a.Stdout)
	}
	a.showAnswer(answer, texts)
	return a.explained(o, answer)
}

// explained is the exit status of an answer.
func (a *app) explained(o *whatOptions, answer explain.Answer) error {
	if err := o.status(answer.Report()); err != nil {
		return err
	}
	if len(answer.Causes) == 0 && answer.Fault() {
		return errors.New("no cause that kubecred knows explains this: " + addSentence(answer))
	}
	return nil
}

func addSentence(answer explain.Answer) string {
	if len(answer.Add) == 0 {
		return "give more of the log, or what the program was configured with"
	}
	return "it would help to add " + strings.Join(answer.Add, "; ")
}

// unknown is the error for inputs in which nothing was recognised.
func unknown(args []string, texts []*explain.Text, missing error) error {
	if missing != nil {
		return missing
	}
	text := ""
	for _, t := range texts {
		text += strings.Join(t.Lines, " ") + " "
	}
	if len(texts) == 1 && strings.TrimSpace(text) == "" {
		if texts[0].Size > 0 {
			return fmt.Errorf("%s: nothing in it that kubecred knows", texts[0].Name)
		}
		return fmt.Errorf("%s: empty: give a code such as KC101, or the error's text word for word", texts[0].Name)
	}
	if len(args) > 1 || text == "" {
		return errors.New("nothing that kubecred knows in what was given: give a code such as KC101, or the error's text word for word")
	}
	return fmt.Errorf("no known code or error message in %q: give a code such as KC101, or the error's text word for word", shorten(explain.Hushed(text)))
}

func inputName(i, n int) string {
	if n == 1 {
		return "argument"
	}
	return fmt.Sprintf("argument %d", i+1)
}

// input reads one WHAT: stdin, a file, or the text itself.
func (a *app) input(ctx context.Context, arg string, i, n int) (*explain.Text, error) {
	if arg == "-" {
		return explain.Read("stdin", a.Stdin)
	}
	if arg == "" {
		return nil, errors.New("an empty argument: give a code, '-', a file or a text")
	}
	if len(arg) < 4096 && !strings.Contains(arg, "\n") {
		info, err := os.Stat(arg)
		switch {
		case err == nil && info.IsDir():
			return nil, fmt.Errorf("%s is a folder: give the files in it", arg)
		case err == nil:
			f, err := a.open(ctx, arg)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return explain.Read(arg, f)
		case isPath(arg):
			return nil, fmt.Errorf("%s: %w: give a file, or the text itself in quotes", arg, fs.ErrNotExist)
		}
	}
	return explain.NewText(inputName(i, n), arg)
}

// isPath tells whether an argument that is no file was meant as one.
func isPath(s string) bool {
	if strings.ContainsAny(s, " \t'\"{}<>|=") || strings.Contains(s, "://") {
		return false
	}
	for _, p := range []string{"/", "./", "../", "~/", `.\`, `..\`, "$HOME/"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	for _, suffix := range []string{".yaml", ".yml", ".json", ".log", ".txt", ".conf", ".toml", ".kubeconfig"} {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return false
}

// isCode tells whether the argument was meant as a code.
func isCode(s string) bool {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 5 || !strings.HasPrefix(s, "KC") {
		return false
	}
	return strings.Trim(s[2:], "0123456789") == ""
}

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// ask asks at a terminal for the piece that would decide. It returns nil where
// there is no terminal, no question or no answer.
func (a *app) ask(answer explain.Answer) (*explain.Text, error) {
	in := a.question()
	if in == nil || len(answer.Ask) == 0 {
		return nil, nil
	}
	q := answer.Ask[0]
	fmt.Fprintf(a.Stderr, "%s (Enter to go on without) ", q.Text)
	line, err := bufio.NewReader(io.LimitReader(in, 1<<16)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(a.Stderr) // the cursor still stands behind the question
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if line = strings.TrimSpace(line); line == "" {
		return nil, nil
	}
	return explain.NewText("answer", q.Prefix+line)
}

// redact prints the inputs with what is secret or private replaced.
func (a *app) redact(ctx context.Context, args []string) error {
	r := explain.NewRedactor()
	for i, arg := range args {
		t, err := a.input(ctx, arg, i, len(args))
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		text := strings.TrimSuffix(strings.Join(t.Lines, "\n"), "\n")
		if _, err := fmt.Fprintln(a.Stdout, r.Redact(text)); err != nil {
			return err
		}
	}
	return nil
}

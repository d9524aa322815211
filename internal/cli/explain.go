package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
)

// maxPaste bounds what explain reads from stdin.
const maxPaste = 1 << 20

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain WHAT...",
		Short: "Explain a finding's code, or the error message of a client",
		Long: `Explain what stands behind a finding's code, or behind an error message pasted
word for word. WHAT is a code (KC101), '-' for text on stdin, or the text.`,
		Example: `  kubecred explain KC101
  kubecred explain 'exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"'
  kubectl get pods 2>&1 | kubecred explain -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.explain(args) },
	}
}

func (a *app) explain(args []string) error {
	for i, arg := range args {
		codes, err := a.recognise(arg)
		if err != nil {
			return err
		}
		for j, c := range codes {
			if i+j > 0 {
				fmt.Fprintln(a.Stdout)
			}
			a.explainCode(c)
		}
	}
	return nil
}

// recognise returns the codes that one argument asks for.
func (a *app) recognise(arg string) ([]finding.Code, error) {
	if c, ok := finding.Lookup(strings.TrimSpace(arg)); ok {
		return []finding.Code{c}, nil
	}
	if isCode(arg) {
		return nil, fmt.Errorf("%s is no code of kubecred: %s lists those there are", strings.ToUpper(arg), "docs/codes.md")
	}
	if arg == "-" {
		data, err := io.ReadAll(io.LimitReader(a.Stdin, maxPaste))
		if err != nil {
			return nil, fmt.Errorf("reading stdin: %w", err)
		}
		arg = string(data)
	}
	if codes := finding.Match(arg); len(codes) > 0 {
		return codes, nil
	}
	return nil, fmt.Errorf("no known code or error message in %q: give a code such as KC101, or the error's text word for word", shorten(arg))
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

func (a *app) explainCode(c finding.Code) {
	fmt.Fprintf(a.Stdout, "%s  %s\n", c.Code, c.Title)
	fmt.Fprintf(a.Stdout, "%s road, %s by default\n\n", c.Road, c.Severity)
	fmt.Fprintln(a.Stdout, wrap(c.Explanation, 78))
	fmt.Fprintf(a.Stdout, "\nMending\n%s\n", wrap(c.Mending, 78))
	if len(c.Messages) > 0 {
		fmt.Fprintln(a.Stdout, "\nKnown by")
		for _, m := range c.Messages {
			fmt.Fprintf(a.Stdout, "  %s\n", m.Text)
		}
	}
	if len(c.Sources) > 0 {
		fmt.Fprintln(a.Stdout, "\nSources")
		for _, s := range c.Sources {
			fmt.Fprintf(a.Stdout, "  %s\n", s)
		}
	}
}

// wrap breaks paragraphs at words so that no line is longer than width.
func wrap(s string, width int) string {
	var out []string
	for paragraph := range strings.SplitSeq(s, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = word
			case len([]rune(line))+1+len([]rune(word)) > width:
				out = append(out, line)
				line = word
			default:
				line += " " + word
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

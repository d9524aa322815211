// Docs writes docs/cli.md and docs/codes.md from the commands and the codes.
// A test in this package fails when the files differ from what it would write.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/cli"
)

func main() {
	dir := "docs"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for name, text := range pages() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "docs:", err)
			os.Exit(1)
		}
	}
}

// pages returns the generated files by name.
func pages() map[string]string {
	return map[string]string{"cli.md": commands(), "codes.md": codes()}
}

func commands() string {
	var b strings.Builder
	b.WriteString("# Command reference\n\nWritten by `make docs` from the commands themselves.\n\n")
	b.WriteString("Exit status of every command: 0 nothing at or above `--fail-on`, 1 findings,\n2 it could not run, with one line on stderr that says why.\n")
	b.WriteString("`kubecred-exec` and `kubecred-aws` are described in [exec.md](exec.md).\n")
	command(&b, cli.Root())
	return b.String()
}

func command(b *strings.Builder, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	if c.Runnable() && c.HasParent() {
		fmt.Fprintf(b, "\n## %s\n\n%s\n\n    %s\n", c.CommandPath(), description(c), c.UseLine())
		if c.Example != "" {
			fmt.Fprintf(b, "\nExamples:\n\n%s\n", indent(c.Example))
		}
		flags(b, c.NonInheritedFlags())
	}
	for _, sub := range c.Commands() {
		command(b, sub)
	}
}

func description(c *cobra.Command) string {
	if c.Long != "" {
		return strings.TrimSpace(c.Long)
	}
	return c.Short + "."
}

func indent(s string) string {
	var out []string
	for line := range strings.SplitSeq(strings.Trim(s, "\n"), "\n") {
		out = append(out, "    "+strings.TrimPrefix(line, "  "))
	}
	return strings.Join(out, "\n")
}

func flags(b *strings.Builder, set *pflag.FlagSet) {
	var rows []string
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		def := ""
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" {
			def = "`" + f.DefValue + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", name, kind, strings.ReplaceAll(usage, "|", "\\|"), def))
	})
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n| flag | value | meaning | default |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n")
}

func codes() string {
	var b strings.Builder
	b.WriteString("# Codes\n\nWritten by `make docs` from the data in `finding/codes/`. A code never changes its\nmeaning. `kubecred explain CODE` prints the same.\n\n| code | road | severity | title |\n| --- | --- | --- | --- |\n")
	all := finding.Codes()
	for _, c := range all {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", c.Code, strings.ToLower(c.Code), c.Road, c.Severity, c.Title)
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n%s\n\nMending: %s\n", c.Code, c.Title, c.Explanation, c.Mending)
		if len(c.Messages) > 0 {
			b.WriteString("\nKnown by:\n\n")
			for _, m := range c.Messages {
				fmt.Fprintf(&b, "    %s\n", m.Text)
			}
		}
		if len(c.Sources) > 0 {
			b.WriteString("\nSources: " + strings.Join(slices.Clone(c.Sources), "; ") + ".\n")
		}
	}
	return b.String()
}

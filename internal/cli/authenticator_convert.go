package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/iammap"
)

func (a *app) authenticatorConvertCommand() *cobra.Command {
	var m mappings
	var to, cluster string
	names := make([]string, 0, len(iammap.Formats()))
	for _, f := range iammap.Formats() {
		names = append(names, string(f))
	}
	cmd := &cobra.Command{
		Use:   "convert --to FORMAT SOURCE...",
		Short: "Write mappings in another format, and say what of them is lost",
		Long: `Write mappings in another format to stdout. What the other format can not hold,
and entries that are not written because they never match or are hidden by
others, are listed on stderr.

The formats are ` + strings.Join(names, ", ") + `.`,
		Example: `  kubecred authenticator convert --to access-entries --cluster-name prod aws-auth.yaml
  kubecred authenticator convert --to aws-auth config.yaml | kubectl apply -f -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(names, to) {
				return fmt.Errorf("--to %q: use one of %s", to, strings.Join(names, ", "))
			}
			m.sources = append(m.sources, args...)
			sources, err := m.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			for _, s := range sources {
				if err := s.Err(); err != nil {
					return fmt.Errorf("%w (nothing was converted; kubecred authenticator lint says more)", err)
				}
			}
			data, lost, err := iammap.Convert(iammap.NewTable(sources...), iammap.Format(to), iammap.ConvertOptions{ClusterName: cluster})
			if err != nil {
				return err
			}
			for _, l := range lost {
				at := l.File
				if l.Line > 0 {
					at = fmt.Sprintf("%s:%d", l.File, l.Line)
				}
				fmt.Fprintf(a.Stderr, "lost   %s   %s\n", printable(at), printable(l.What))
			}
			_, err = a.Stdout.Write(data)
			return err
		},
	}
	m.register(cmd)
	cmd.Flags().StringVar(&to, "to", "", "format to write: "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&cluster, "cluster-name", "", "name of the EKS cluster, for access entries")
	must(cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// mappingDiff is the JSON of authenticator diff.
type mappingDiff struct {
	APIVersion  string          `json:"apiVersion"`
	Kind        string          `json:"kind"`
	Differences []mappingChange `json:"differences"`
	Alike       []mappingChange `json:"alike"`
}

type mappingChange struct {
	Key     string       `json:"key"`
	Change  string       `json:"change"`
	Old     *mappingSide `json:"old"`
	New     *mappingSide `json:"new"`
	Details []string     `json:"details"`
}

type mappingSide struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
	Policies []string `json:"policies"`
	Source   place    `json:"source"`
}

func newSide(m *iammap.Match) *mappingSide {
	if m == nil {
		return nil
	}
	side := &mappingSide{
		Username: m.Entry.Username, Groups: append([]string{}, m.Entry.Groups...), Policies: []string{},
		Source: place{m.Source.Name, m.Entry.ARNPos.Line},
	}
	for _, p := range m.Entry.Policies {
		side.Policies = append(side.Policies, p.String())
	}
	return side
}

func newChanges(in []iammap.Change) []mappingChange {
	out := []mappingChange{}
	for _, c := range in {
		out = append(out, mappingChange{c.Key, c.What, newSide(c.Old), newSide(c.New), c.Details})
	}
	return out
}

func (a *app) authenticatorDiffCommand() *cobra.Command {
	var format string
	var m mappings
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare two sources of mappings by what they do, not by their text",
		Long: `Compare two sources of mappings by what they do: for each role, user, pattern and
account that one of them maps, who it is under both. Order, format and entries
that never match make no difference.

The exit status is 0 where both do the same and 1 where they do not.`,
		Example: `  kubecred authenticator diff aws-auth.yaml access-entries.json
  kubecred authenticator diff configmap://kube-system/aws-auth eks://prod`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give two sources to compare, such as aws-auth.yaml and eks://CLUSTER (%d are given)", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("-o %q: use one of text, json", format)
			}
			var tables [2]*iammap.Table
			for i, name := range args {
				m.sources = []string{name}
				sources, err := m.read(cmd.Context(), a)
				if err != nil {
					return err
				}
				for _, s := range sources {
					if err := s.Err(); err != nil {
						return fmt.Errorf("%w (kubecred authenticator lint says more)", err)
					}
				}
				tables[i] = iammap.NewTable(sources...)
			}
			changes, alike := iammap.Diff(tables[0], tables[1])
			if err := a.showDiff(format, newChanges(changes), newChanges(alike)); err != nil {
				return err
			}
			if len(changes) > 0 {
				return exitError(exitFindings)
			}
			return nil
		},
	}
	m.registerCluster(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "text", "format: text, json")
	return cmd
}

func (a *app) showDiff(format string, changes, alike []mappingChange) error {
	if format == "json" {
		enc := json.NewEncoder(a.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(mappingDiff{"kubecred/v1", "MappingDiff", changes, alike})
	}
	for _, c := range append(changes[:len(changes):len(changes)], alike...) {
		sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}[c.Change]
		fmt.Fprintf(a.Stdout, "%s %s\n", sign, printable(c.Key))
		for _, d := range c.Details {
			fmt.Fprintf(a.Stdout, "    %s\n", printable(d))
		}
		for _, side := range []*mappingSide{c.Old, c.New} {
			if side != nil {
				fmt.Fprintf(a.Stdout, "    %s:%d\n", printable(side.Source.File), side.Source.Line)
			}
		}
	}
	switch {
	case len(changes) == 0 && len(alike) == 0:
		fmt.Fprintln(a.Stdout, "Both do the same.")
	case len(changes) == 0:
		fmt.Fprintf(a.Stdout, "Both come to the same; %s written another way.\n", numbered(len(alike), "principal is", "principals are"))
	default:
		fmt.Fprintf(a.Stdout, "%s.\n", numbered(len(changes), "difference", "differences"))
	}
	return nil
}

func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

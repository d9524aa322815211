package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/iammap"
)

type explainOptions struct {
	mappings
	session string
	userID  string
	format  string
}

func (a *app) authenticatorExplainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain ARN --mapping SOURCE...",
		Short: "Say who an IAM role or user is in the cluster, by which line, and what nearly matched",
		Long: `Say who an IAM role or user is in the cluster: the user name and the groups, the
line of the source that says so, and where nothing matches every entry that
nearly does, with the reason.

ARN is what 'aws sts get-caller-identity' prints, or the ARN of a role or user.
The exit status is 0 where the ARN is mapped and 1 where it is not.`,
		Example: `  kubecred authenticator explain arn:aws:sts::111122223333:assumed-role/dev/alice --mapping aws-auth.yaml
  kubecred authenticator explain arn:aws:iam::111122223333:role/dev --session alice --mapping config.yaml -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.format != "text" && o.format != "json" {
				return fmt.Errorf("-o %q: use one of text, json", o.format)
			}
			o.sources = append(o.sources, args[1:]...)
			sources, err := o.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			x, err := iammap.NewTable(sources...).Explain(iammap.Question{ARN: args[0], Session: o.session, UserID: o.userID})
			if err != nil {
				return err
			}
			return a.showExplanation(&o, x, sources)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.session, "session", "", "name of the role's session, where the ARN is a role's")
	cmd.Flags().StringVar(&o.userID, "user-id", "", "unique id of the role or user (AROA..., AIDA...), for mappings by userid")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "format: text, json")
	return cmd
}

// explanation is the JSON of authenticator explain.
type explanation struct {
	ARN          string              `json:"arn"`
	CanonicalARN string              `json:"canonicalARN"`
	Mapped       bool                `json:"mapped"`
	User         *iammap.ClusterUser `json:"user"`
	Source       *place              `json:"source"`
	Refused      string              `json:"refused,omitempty"`
	NearMisses   []iammap.NearMiss   `json:"nearMisses"`
	Notes        []string            `json:"notes"`
}

type place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func newExplanation(x iammap.Explanation) explanation {
	e := explanation{
		ARN: x.ARN, CanonicalARN: x.Canonical, Mapped: x.Mapped, Refused: x.Refused,
		NearMisses: x.NearMisses, Notes: x.Notes,
	}
	if x.Match.Entry != nil {
		e.Source = &place{x.Match.Source.Name, x.Match.Entry.ARNPos.Line}
	}
	if x.Mapped {
		e.User = &x.User
	}
	if e.NearMisses == nil {
		e.NearMisses = []iammap.NearMiss{}
	}
	if e.Notes == nil {
		e.Notes = []string{}
	}
	return e
}

func (a *app) showExplanation(o *explainOptions, x iammap.Explanation, sources []*iammap.Source) error {
	e := newExplanation(x)
	if o.format == "json" {
		enc := json.NewEncoder(a.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(e); err != nil {
			return err
		}
	} else {
		writeExplanation(a.Stdout, e)
	}
	faults := 0
	for _, s := range sources {
		faults += len(s.Faults)
	}
	if faults > 0 {
		fmt.Fprintf(a.Stderr, "kubecred authenticator lint names %s in these mappings.\n", numbered(faults, "fault", "faults"))
	}
	if !x.Mapped {
		return exitError(exitFindings)
	}
	return nil
}

func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// mostNearMisses is how many the text shows; JSON has them all.
const mostNearMisses = 10

func writeExplanation(w io.Writer, e explanation) {
	fmt.Fprintln(w, printable(e.ARN))
	if e.CanonicalARN != e.ARN {
		line(w, "seen as", e.CanonicalARN)
	}
	switch {
	case e.Mapped:
		line(w, "user", orNone(e.User.Username))
		line(w, "groups", orNone(strings.Join(e.User.Groups, ", ")))
		line(w, "by", fmt.Sprintf("%s:%d", e.Source.File, e.Source.Line))
	case e.Refused != "":
		line(w, "refused", e.Refused)
		line(w, "by", fmt.Sprintf("%s:%d", e.Source.File, e.Source.Line))
	default:
		line(w, "user", "none: no entry maps it")
	}
	for _, n := range e.Notes {
		line(w, "note", n)
	}
	for i, m := range e.NearMisses {
		if i == mostNearMisses {
			fmt.Fprintf(w, "  and %s more (-o json lists all)\n", numbered(len(e.NearMisses)-i, "near miss", "near misses"))
			break
		}
		line(w, "near miss", fmt.Sprintf("%s:%d   %s", m.File, m.Line, m.ARN))
		line(w, "", m.Reason)
	}
}

func line(w io.Writer, label, text string) {
	fmt.Fprintf(w, "  %-9s  %s\n", label, printable(text))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// printable keeps text from a file on one line and without control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, s)
}

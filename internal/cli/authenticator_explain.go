package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/iammap"
	"github.com/kubecred/kubecred/internal/cluster"
)

type explainOptions struct {
	mappings
	session string
	userID  string
	format  string
	cluster bool
	canI    []string
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
With --cluster it also says what that gives in the cluster: the RBAC bindings
that name the user or a group, and by asking the API server whether the user may
do what --can-i names, or some usual things.

The exit status is 0 where the ARN is mapped and 1 where it is not.`,
		Example: `  kubecred authenticator explain arn:aws:sts::111122223333:assumed-role/dev/alice --mapping aws-auth.yaml
  kubecred authenticator explain arn:aws:iam::111122223333:role/dev --session alice --mapping config.yaml -o json
  kubecred authenticator explain arn:aws:iam::111122223333:role/dev --mapping configmap://kube-system/aws-auth --cluster --can-i list/pods`,
		Args: between(1, -1, "give the ARN of a role or user, such as arn:aws:iam::111122223333:role/admins"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.format != "text" && o.format != "json" {
				return fmt.Errorf("-o %q: use one of text, json", o.format)
			}
			o.sources = append(o.sources, args[1:]...)
			questions, err := o.questions()
			if err != nil {
				return err
			}
			sources, err := o.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			x, err := iammap.NewTable(sources...).Explain(iammap.Question{ARN: args[0], Session: o.session, UserID: o.userID})
			if err != nil {
				return err
			}
			e := newExplanation(x)
			if o.cluster && x.Mapped {
				if e.RBAC, err = o.rights(cmd.Context(), a, x.User, questions); err != nil {
					return err
				}
			}
			return a.showExplanation(&o, e, sources)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.session, "session", "", "name of the role's session, where the ARN is a role's")
	cmd.Flags().StringVar(&o.userID, "user-id", "", "unique id of the role or user (AROA..., AIDA...), for mappings by userid")
	cmd.Flags().BoolVar(&o.cluster, "cluster", false, "say what the user and the groups may do in the cluster of the kubeconfig")
	cmd.Flags().StringArrayVar(&o.canI, "can-i", nil, "with --cluster: VERB/RESOURCE[.GROUP][@NAMESPACE] to ask for (repeat for more)")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "format: text, json")
	return cmd
}

// usual are the questions of --cluster where --can-i names none.
var usual = []string{"*/*.*", "list/pods", "create/deployments.apps", "list/secrets", "create/pods", "list/nodes"}

// questions reads VERB/RESOURCE[.GROUP][@NAMESPACE].
func (o *explainOptions) questions() ([]cluster.Access, error) {
	if len(o.canI) > 0 && !o.cluster {
		return nil, errors.New("--can-i asks a cluster: give --cluster too")
	}
	texts := o.canI
	if len(texts) == 0 {
		texts = usual
	}
	var out []cluster.Access
	for _, t := range texts {
		rest, namespace, _ := strings.Cut(t, "@")
		verb, resource, ok := strings.Cut(rest, "/")
		resource, group, _ := strings.Cut(resource, ".")
		if !ok || verb == "" || resource == "" {
			return nil, fmt.Errorf("--can-i %q: write VERB/RESOURCE[.GROUP][@NAMESPACE], such as list/pods or create/deployments.apps@web", t)
		}
		out = append(out, cluster.Access{Verb: verb, Resource: resource, Group: group, Namespace: namespace})
	}
	return out, nil
}

// rights is what a user may do in the cluster.
type rights struct {
	Cluster  string            `json:"cluster"`
	Bindings []cluster.Binding `json:"bindings"`
	CanI     []cluster.Access  `json:"canI"`
}

func (o *explainOptions) rights(ctx context.Context, a *app, u iammap.ClusterUser, questions []cluster.Access) (*rights, error) {
	if strings.Contains(u.Username+strings.Join(u.Groups, ""), "{{") {
		return nil, fmt.Errorf("user %q is not complete without the session's name: give it with --session to ask the cluster", u.Username)
	}
	client, err := cluster.Connect(o.clusterOptions(a, 0))
	if err != nil {
		return nil, err
	}
	r := &rights{Cluster: client.Name, Bindings: []cluster.Binding{}}
	bindings, err := client.Bindings(ctx, u.Username, u.Groups)
	if err != nil {
		return nil, err
	}
	r.Bindings = append(r.Bindings, bindings...)
	r.CanI, err = client.May(ctx, u.Username, u.Groups, questions)
	return r, err
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
	RBAC         *rights             `json:"rbac,omitempty"`
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

func (a *app) showExplanation(o *explainOptions, e explanation, sources []*iammap.Source) error {
	if o.format == "json" {
		enc := json.NewEncoder(a.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(e); err != nil {
			return err
		}
	} else {
		writeExplanation(a.Stdout, e)
	}
	if slices.ContainsFunc(sources, func(s *iammap.Source) bool { return len(s.Faults) > 0 }) {
		fmt.Fprintln(a.Stderr, "Not all of these mappings are read as they were meant: kubecred authenticator lint says which.")
	}
	if !e.Mapped {
		return exitError(exitFindings)
	}
	return nil
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
	if e.RBAC != nil {
		writeRights(w, e.RBAC)
	}
}

func writeRights(w io.Writer, r *rights) {
	for _, b := range r.Bindings {
		at := b.Kind + " " + b.Name
		if b.Namespace != "" {
			at += " in " + b.Namespace
		}
		line(w, "bound", fmt.Sprintf("%s, by %s to %s", b.Role, at, b.Subject))
	}
	if len(r.Bindings) == 0 {
		line(w, "bound", "no binding of "+r.Cluster+" names the user or a group")
	}
	for _, q := range r.CanI {
		what := q.Verb + " " + q.Resource
		if q.Group != "" && q.Group != "*" {
			what += "." + q.Group
		}
		if q.Resource == "*" && q.Verb == "*" {
			what = "do everything"
		}
		if q.Namespace != "" {
			what += " in " + q.Namespace
		}
		answer := "no    "
		if q.Allowed {
			answer = "yes   "
		}
		line(w, "may", answer+what)
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

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/kubeconfig"
)

// lockWait is how long an edit waits for kubectl's lock; kubectl holds it for
// milliseconds.
const lockWait = 3 * time.Second

// editOptions are what every command that changes kubeconfigs takes.
type editOptions struct {
	paths                []string
	diff, dryRun, backup bool
	format               string
}

func (o *editOptions) register(cmd *cobra.Command) {
	kubeconfigFlag(cmd, &o.paths)
	cmd.Flags().BoolVar(&o.diff, "diff", false, "show what changes as a unified diff on stdout")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "change nothing, only say what would change")
	cmd.Flags().BoolVar(&o.backup, "backup", false, "keep the old file as FILE.bak")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "format: text, json")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
}

func (o *editOptions) check() error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("-o %q: use one of text, json", o.format)
	}
	return nil
}

func (a *app) kubeconfigFixCommand() *cobra.Command {
	var o editOptions
	var to string
	cmd := &cobra.Command{
		Use:   "fix",
		Short: "Mend the exec entries of kubeconfigs and touch no other byte",
		Long: `Fix gives exec entries a version of the protocol that today's clients accept,
and adds interactiveMode where v1 requires it. Comments, order, quotes and line
ends stay as they are. Without --to each entry gets the highest version that its
plugin speaks and that every client from 1.22 on accepts.

A file is locked as kubectl locks it, replaced at once, and keeps its mode and
owner. Where an entry can't be mended without touching something else, nothing
is changed and the exit status is 2.`,
		Example: `  kubecred kubeconfig fix --dry-run --diff
  kubecred kubeconfig fix --to v1 --kubeconfig ./old.yaml --backup`,
		Args: noArguments("name a kubeconfig with --kubeconfig"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to != "" && to != kubeconfig.V1 && to != kubeconfig.V1beta1 {
				return fmt.Errorf("--to %q: use v1 or v1beta1", to)
			}
			return a.edit(cmd.Context(), &o, func(f *kubeconfig.File) (*kubeconfig.Edit, error) { return f.Fix(to) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "version for every entry: v1 or v1beta1 (default: what fits each plugin)")
	must(cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"v1", "v1beta1"}, cobra.ShellCompDirectiveNoFileComp)))
	o.register(cmd)
	return cmd
}

// planFunc plans an edit of a kubeconfig.
type planFunc func(*kubeconfig.File) (*kubeconfig.Edit, error)

// edited is a file with its planned edit.
type edited struct {
	path   string
	file   *kubeconfig.File
	edit   *kubeconfig.Edit
	writer *kubeconfig.Writer // nil where nothing changes
	backup string
	// before is the text of the file as it is; created tells that it had no
	// kubeconfig in it.
	before  []byte
	created bool
}

func (e *edited) changes() bool { return len(e.edit.Changes) > 0 }

// edit plans and makes the edits of all files: either all are made or none.
func (a *app) edit(ctx context.Context, o *editOptions, plan planFunc) error {
	if err := o.check(); err != nil {
		return err
	}
	paths := a.kubeconfigPaths(o.paths)
	if len(paths) == 0 {
		return a.noKubeconfig()
	}
	var all []*edited
	var empty []error
	defer func() {
		for _, e := range all {
			if e.writer != nil {
				e.writer.Close()
			}
		}
	}()
	for _, path := range paths {
		e, err := a.plan(ctx, path, o, plan)
		if errors.Is(err, kubeconfig.ErrEmpty) && len(paths) > 1 {
			empty = append(empty, notChanged(path, err))
			continue // to a client it is a kubeconfig without entries
		}
		if err != nil {
			return notChanged(path, err)
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		return errors.Join(empty...)
	}
	if !o.dryRun {
		if err := write(all, o.backup); err != nil {
			return err
		}
	}
	return a.showEdits(all, o)
}

func notChanged(path string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w (nothing was changed)", path, err)
}

// plan reads a file and plans its edit; where something changes, it does so again
// under the lock.
func (a *app) plan(ctx context.Context, path string, o *editOptions, plan planFunc) (*edited, error) {
	if path == "-" {
		return nil, errors.New("stdin can't be changed: give a file")
	}
	data, err := kubeconfig.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e, err := planText(path, data, plan)
	if err != nil || o.dryRun || !e.changes() {
		return e, err
	}
	w, err := kubeconfig.Open(ctx, path, lockWait)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(data, w.Data()) { // changed before it was locked
		if e, err = planText(path, w.Data(), plan); err != nil {
			w.Close()
			return nil, err
		}
	}
	e.writer = w
	return e, nil
}

func planText(path string, data []byte, plan planFunc) (*edited, error) {
	f, err := kubeconfig.Parse(path, data)
	if err != nil {
		return nil, err
	}
	edit, err := plan(f)
	if err != nil {
		return nil, err
	}
	return &edited{path: path, file: f, edit: edit, before: data}, nil
}

// write makes the edits. Everything that may fail for want of room or rights is
// done for all files before the first is replaced.
func write(all []*edited, backup bool) error {
	for _, e := range all {
		if e.writer == nil {
			continue
		}
		if err := e.writer.Stage(e.edit.Data); err != nil {
			return notChanged(e.path, err)
		}
	}
	for _, e := range all {
		if e.writer == nil || !backup {
			continue
		}
		name, err := e.writer.Backup()
		if err != nil {
			return notChanged(e.path, err)
		}
		e.backup = name
	}
	var done []string
	for _, e := range all {
		if e.writer == nil {
			continue
		}
		if err := e.writer.Commit(); err != nil {
			if len(done) > 0 {
				return fmt.Errorf("%s: %w (changed before it: %s)", e.path, err, strings.Join(done, ", "))
			}
			return notChanged(e.path, err)
		}
		done = append(done, e.path)
	}
	return nil
}

// showEdits says what was done: the diff and JSON on stdout, words on stderr
// where stdout has something else to hold.
func (a *app) showEdits(all []*edited, o *editOptions) error {
	files := make([]*kubeconfig.File, len(all))
	for i, e := range all {
		files[i] = e.file
	}
	mask := kubeconfig.NewMasker(files...)
	if o.format == "json" {
		return a.editsJSON(all, o, mask)
	}
	words := a.Stdout
	if o.diff {
		words = a.Stderr
		for _, e := range all {
			fmt.Fprint(a.Stdout, editDiff(e, mask))
		}
	}
	verb := map[bool]string{false: "", true: "would be "}[o.dryRun]
	for _, e := range all {
		switch {
		case !e.changes():
			fmt.Fprintf(words, "%s: nothing to change\n", e.path)
		case e.created:
			fmt.Fprintf(words, "%s: a new kubeconfig %swritten\n", e.path, verb)
		default:
			fmt.Fprintf(words, "%s: %s\n", e.path, lineCounts(e.edit, verb))
		}
		for _, c := range e.edit.Changes {
			fmt.Fprintf(words, "  %s: %s\n", c.Subject, mask.Values(changeText(c)))
		}
		for _, n := range e.edit.Notes {
			fmt.Fprintf(words, "  %s: left as it is: %s\n", n.Subject, n.Text)
		}
		if e.backup != "" {
			fmt.Fprintf(words, "  the old file is %s\n", e.backup)
		}
	}
	return nil
}

// lineCounts says how many lines an edit changes, adds and removes.
func lineCounts(e *kubeconfig.Edit, verb string) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{e.LinesChanged, "changed"}, {e.LinesAdded, "added"}, {e.LinesRemoved, "removed"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, "line")+" "+verb+p.what)
			verb = ""
		}
	}
	return strings.Join(parts, ", ")
}

func changeText(c kubeconfig.Change) string {
	short := func(s string) string { return strings.TrimPrefix(s, "client.authentication.k8s.io/") }
	if c.Field == "entry" {
		return "added"
	}
	what := fmt.Sprintf("%s %s instead of %s", c.Field, short(c.To), short(c.From))
	if c.From == "" {
		what = fmt.Sprintf("%s %s added", c.Field, short(c.To))
	}
	if c.Reason == "" {
		return what
	}
	return what + ": " + c.Reason
}

// editDiff is a unified diff with the secrets of the file masked.
func editDiff(e *edited, mask *kubeconfig.Masker) string {
	if !e.changes() {
		return ""
	}
	text := e.edit.Diff(e.path, e.before)
	// The masker knows the secrets of what was there; what is added holds none.
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		b.WriteString(mask.Line(line))
	}
	return b.String()
}

// The JSON of the commands that change kubeconfigs.
type editReport struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	DryRun     bool       `json:"dryRun"`
	Files      []editFile `json:"files"`
}

type editFile struct {
	File         string       `json:"file"`
	Changed      bool         `json:"changed"`
	LinesChanged int          `json:"linesChanged"`
	LinesAdded   int          `json:"linesAdded"`
	LinesRemoved int          `json:"linesRemoved"`
	Changes      []editChange `json:"changes"`
	Backup       string       `json:"backup,omitempty"`
	Diff         string       `json:"diff,omitempty"`
}

type editChange struct {
	Subject string `json:"subject"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field"`
	From    string `json:"from"`
	To      string `json:"to"`
	Reason  string `json:"reason"`
}

func (a *app) editsJSON(all []*edited, o *editOptions, mask *kubeconfig.Masker) error {
	r := editReport{APIVersion: "kubecred/v1", Kind: "EditReport", DryRun: o.dryRun, Files: []editFile{}}
	for _, e := range all {
		f := editFile{
			File: e.path, Changed: e.changes(), LinesChanged: e.edit.LinesChanged, LinesAdded: e.edit.LinesAdded, LinesRemoved: e.edit.LinesRemoved,
			Changes: []editChange{}, Backup: e.backup,
		}
		for _, c := range e.edit.Changes {
			f.Changes = append(f.Changes, editChange{c.Subject, c.Line, c.Column, c.Field, mask.Values(c.From), mask.Values(c.To), c.Reason})
		}
		if o.diff {
			f.Diff = editDiff(e, mask)
		}
		r.Files = append(r.Files, f)
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

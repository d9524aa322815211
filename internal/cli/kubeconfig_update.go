package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/internal/awseks"
	"github.com/kubecred/kubecred/kubeconfig"
)

type updateOptions struct {
	editOptions
	cluster, region, role, profile string
	alias, userAlias, namespace    string
	issuer                         string
	all, absolute                  bool
}

// issuers are what --issuer takes.
var issuers = []string{"kubecred", "aws", "aws-iam-authenticator"}

func (a *app) kubeconfigUpdateCommand() *cobra.Command {
	var o updateOptions
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Write the entries of EKS clusters into a kubeconfig",
		Long: `Update asks EKS for a cluster and writes its cluster, user and context, as
'aws eks update-kubeconfig' does. What is there already stays: other keys of a
context, comments, order. Two roles or profiles of one cluster get two users. It
writes exec API v1 with interactiveMode.

Without --kubeconfig it is the file of KUBECONFIG that has the cluster, else the
first, else ~/.kube/config; a file that is not there is made.`,
		Example: `  kubecred kubeconfig update --cluster-name demo --region eu-west-1
  kubecred kubeconfig update --cluster-name demo --role-arn arn:aws:iam::123456789012:role/ops --alias demo-ops
  kubecred kubeconfig update --all-clusters --dry-run --diff`,
		Args: noArguments("name a cluster with --cluster-name"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.update(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.cluster, "cluster-name", "", "name of the EKS cluster")
	f.BoolVar(&o.all, "all-clusters", false, "every cluster of the region instead of one")
	f.StringVar(&o.region, "region", "", "AWS region (default: the SDK's)")
	f.StringVar(&o.role, "role-arn", "", "role that the plugin assumes for tokens")
	f.StringVar(&o.profile, "profile", "", "AWS profile to ask with, and that the plugin uses (default: AWS_PROFILE)")
	f.StringVar(&o.alias, "alias", "", "name of the context (default: the cluster's ARN)")
	f.StringVar(&o.userAlias, "user-alias", "", "name of the user (default: the cluster's ARN, with the role where another one has that)")
	f.StringVar(&o.namespace, "namespace", "", "namespace of the context (default: the one that is there)")
	f.StringVar(&o.issuer, "issuer", issuers[0], "who makes the tokens: "+strings.Join(issuers, ", "))
	f.BoolVar(&o.absolute, "absolute", false, "write the absolute path of the plugin, as found in PATH")
	must(cmd.RegisterFlagCompletionFunc("issuer", cobra.FixedCompletions(issuers, cobra.ShellCompDirectiveNoFileComp)))
	o.register(cmd)
	return cmd
}

func (o *updateOptions) check() error {
	switch {
	case o.cluster == "" && !o.all:
		return errors.New("which cluster? give --cluster-name, or --all-clusters")
	case o.cluster != "" && o.all:
		return errors.New("--cluster-name and --all-clusters exclude each other")
	case o.all && (o.alias != "" || o.userAlias != ""):
		return errors.New("--alias and --user-alias name one cluster: leave them out with --all-clusters")
	case !slices.Contains(issuers, o.issuer):
		return fmt.Errorf("--issuer %q: use one of %s", o.issuer, strings.Join(issuers, ", "))
	case o.role != "" && !strings.HasPrefix(o.role, "arn:"):
		return fmt.Errorf("--role-arn %q: an ARN is wanted, arn:aws:iam::ACCOUNT:role/NAME", o.role)
	case len(o.paths) > 1:
		return errors.New("--kubeconfig: one file is written to, so give one")
	}
	return o.editOptions.check()
}

func (a *app) update(ctx context.Context, o *updateOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	command, err := a.issuerCommand(o)
	if err != nil {
		return err
	}
	clusters, err := a.eksClusters(ctx, o)
	if err != nil {
		return err
	}
	if len(clusters) == 0 {
		fmt.Fprintln(a.Stderr, "the region has no clusters: nothing to write")
		return nil
	}
	path, err := a.updatePath(o, clusters)
	if err != nil {
		return err
	}
	profile := o.profile
	if profile == "" {
		profile = a.Getenv("AWS_PROFILE")
	}
	plan := func(f *kubeconfig.File) (*kubeconfig.Edit, error) {
		var entries []kubeconfig.Entry
		for _, c := range clusters {
			entries = append(entries, kubeconfig.EKS{
				Name: c.Name, ARN: c.ARN, Region: c.Region, ID: c.ID, Server: c.Endpoint, CAData: c.CAData,
				Role: o.role, Profile: profile, Issuer: o.issuer, Command: command,
				ContextAlias: o.alias, UserAlias: o.userAlias, Namespace: o.namespace,
			}.Entry(f))
		}
		current := entries[0].Context
		if o.all {
			current = "" // which of them would be a guess
		}
		return f.Merge(entries, current)
	}
	if err := a.editOrCreate(ctx, path, &o.editOptions, plan); err != nil {
		return err
	}
	if command == "" {
		command = kubeconfig.EKS{Issuer: o.issuer}.Program()
	}
	a.hintPrograms(o.issuer, command)
	a.hintPolicy(command)
	return nil
}

// issuerCommand is the absolute path of the issuer's program where it is asked
// for, and "" for its bare name.
func (a *app) issuerCommand(o *updateOptions) (string, error) {
	if !o.absolute {
		return "", nil
	}
	program := kubeconfig.EKS{Issuer: o.issuer}.Program()
	found := kubeconfig.Executables(program, a.Getenv("PATH"), runtime.GOOS)
	if len(found) == 0 {
		return "", fmt.Errorf("--absolute: %s is not found in PATH: install it first", program)
	}
	return filepath.Abs(found[0])
}

// hintPrograms says which program the entries run that is not there.
func (a *app) hintPrograms(issuer, command string) {
	programs := []string{command}
	if issuer == "kubecred" {
		programs = append(programs, "kubecred-aws")
	}
	for _, p := range programs {
		if len(kubeconfig.Executables(p, a.Getenv("PATH"), runtime.GOOS)) == 0 {
			fmt.Fprintf(a.Stderr, "%s is not found in PATH: clients need it to use the new entries\n", p)
		}
	}
}

// updatePath is the one file to write to.
func (a *app) updatePath(o *updateOptions, clusters []awseks.Cluster) (string, error) {
	if len(o.paths) == 1 {
		return o.paths[0], nil
	}
	usual := a.usualKubeconfigs()
	if len(usual) == 0 {
		return "", errors.New("no home directory: give the file with --kubeconfig")
	}
	for _, p := range usual {
		f, err := a.readKubeconfig(p)
		if err != nil {
			continue // the file that is chosen in the end is read again
		}
		for _, c := range f.Clusters {
			if c.Name.Value == clusters[0].ARN {
				return p, nil
			}
		}
	}
	return usual[0], nil
}

// describeAtOnce is how many clusters are asked for side by side.
const describeAtOnce = 8

// updateTimeout bounds all calls to AWS for one cluster.
const updateTimeout = time.Minute

// eksClusters asks EKS for the clusters, in the order of their names.
func (a *app) eksClusters(ctx context.Context, o *updateOptions) ([]awseks.Cluster, error) {
	client, err := awseks.New(ctx, awseks.Options{Region: o.region, Profile: o.profile})
	if err != nil {
		return nil, err
	}
	names := []string{o.cluster}
	if o.all {
		listCtx, cancel := context.WithTimeout(ctx, updateTimeout)
		defer cancel()
		if names, err = client.List(listCtx); err != nil {
			return nil, err
		}
	}
	out := make([]awseks.Cluster, len(names))
	errs := make([]error, len(names))
	step := a.steps("clusters", len(names))
	slots := make(chan struct{}, describeAtOnce)
	var wg sync.WaitGroup
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots; step() }()
			ctx, cancel := context.WithTimeout(ctx, updateTimeout)
			defer cancel()
			out[i], errs[i] = client.Describe(ctx, name)
		})
	}
	wg.Wait()
	if !o.all {
		return out, errs[0]
	}
	var kept []awseks.Cluster
	for i, c := range out {
		if errs[i] != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			fmt.Fprintf(a.Stderr, "left out: %s\n", oneLine(errs[i].Error()))
			continue
		}
		kept = append(kept, c)
	}
	if len(kept) == 0 && len(names) > 0 {
		return nil, errors.New("none of the clusters could be asked for")
	}
	return kept, nil
}

// steps is a progress bar on stderr for n steps, where stderr is a terminal.
func (a *app) steps(what string, n int) (step func()) {
	if !isTerminal(a.Stderr) || n < 2 {
		return func() {}
	}
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(a.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	return func() { _ = bar.Add(1) } // a terminal that is gone is no reason to stop
}

// editOrCreate makes one edit, to a file that may not be there yet or be empty.
func (a *app) editOrCreate(ctx context.Context, path string, o *editOptions, plan planFunc) error {
	if path == "-" {
		return errors.New("-: stdin can't be changed: give a file")
	}
	e, err := a.planOrCreate(ctx, path, o, plan)
	if err != nil {
		return notChanged(path, err)
	}
	if e.writer != nil {
		defer e.writer.Close()
	}
	all := []*edited{e}
	if !o.dryRun {
		if err := write(all, o.backup); err != nil {
			return err
		}
	}
	return a.showEdits(all, o)
}

func (a *app) planOrCreate(ctx context.Context, path string, o *editOptions, plan planFunc) (*edited, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		e, err := planNew(path, nil, plan)
		if err != nil || o.dryRun {
			return e, err
		}
		e.writer, err = kubeconfig.Create(ctx, path, lockWait)
		return e, err
	}
	e, err := a.plan(ctx, path, o, plan)
	if !errors.Is(err, kubeconfig.ErrEmpty) {
		return e, err
	}
	if o.dryRun {
		data, err := kubeconfig.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return planNew(path, data, plan)
	}
	w, err := kubeconfig.Open(ctx, path, lockWait)
	if err != nil {
		return nil, err
	}
	if e, err = planNew(path, w.Data(), plan); err != nil {
		w.Close()
		return nil, err
	}
	e.writer = w
	return e, nil
}

// planNew plans the first entries of a file that holds at most comments.
func planNew(path string, comments []byte, plan planFunc) (*edited, error) {
	text := string(comments)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	e, err := planText(path, []byte(text+kubeconfig.Skeleton), plan)
	if err != nil {
		return nil, err
	}
	e.before = comments
	e.created = true
	return e, nil
}

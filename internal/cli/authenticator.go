package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/iammap"
	"github.com/kubecred/kubecred/internal/awsread"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/release"
	"github.com/kubecred/kubecred/internal/report"
)

func (a *app) authenticatorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "authenticator",
		Short: "The webhook for IAM logins, and the mappings from IAM to Kubernetes users",
		Long: `The mappings from IAM roles and users to Kubernetes users and groups, in every
format that they come in: the aws-auth ConfigMap, the config file of
aws-iam-authenticator, IAMIdentityMapping objects, its dynamic JSON file, and
access entries of EKS as the aws CLI prints them. And the webhook that the API
server asks who an EKS token is, with those mappings.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.authenticatorServeCommand(),
		a.authenticatorInitCommand(),
		a.authenticatorExplainCommand(),
		a.authenticatorLintCommand(),
		a.authenticatorConvertCommand(),
		a.authenticatorDiffCommand(),
		a.authenticatorVerifyCommand(),
	)
	return cmd
}

// mappings is what every command takes that reads mappings.
type mappings struct {
	sources             []string
	kubeconfig, context string
	region              string
}

func (m *mappings) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&m.sources, "mapping", nil, "where mappings are read from, in the order in which they are asked: a file, - for stdin, configmap://NAMESPACE/NAME, crd:// or eks://CLUSTER (repeat for more)")
	m.registerCluster(cmd)
}

func (m *mappings) registerCluster(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.kubeconfig, "kubeconfig", "", "kubeconfig for configmap:// and crd:// ($KUBECONFIG, ~/.kube/config, or the pod's service account by default)")
	cmd.Flags().StringVar(&m.context, "context", "", "context of the kubeconfig")
}

// errNoMapping says how to name sources.
var errNoMapping = errors.New("no mappings given: name a source with --mapping, such as a file with the aws-auth ConfigMap")

// read reads the sources in their order.
func (m *mappings) read(ctx context.Context, a *app) ([]*iammap.Source, error) {
	if len(m.sources) == 0 {
		return nil, errNoMapping
	}
	var out []*iammap.Source
	for _, name := range m.sources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := m.fetch(ctx, a, name)
		if err != nil {
			return nil, err
		}
		if data == nil {
			continue
		}
		sources, err := iammap.Read(name, data)
		if err != nil {
			return nil, err
		}
		out = append(out, sources...)
	}
	return out, nil
}

// fetch reads the text of a source; nil for one in a cluster that is empty.
func (m *mappings) fetch(ctx context.Context, a *app, name string) ([]byte, error) {
	scheme, rest, remote := strings.Cut(name, "://")
	if !remote {
		return a.readSource(ctx, name)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if scheme == "eks" {
		if rest == "" {
			return nil, fmt.Errorf("%s: name the cluster, eks://CLUSTER", name)
		}
		c, err := awsread.Load(ctx, m.region)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data, err := awsread.AccessEntries(ctx, c, rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return data, nil
	}
	objects, err := clusterObjects(name, scheme, rest)
	if err != nil {
		return nil, err
	}
	client, err := cluster.NewObjecter(m.clusterOptions(a, 0))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data, err := client.Read(ctx, objects)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if data == nil {
		fmt.Fprintf(a.Stderr, "%s: there is none in the cluster\n", name)
	}
	return data, nil
}

func (m *mappings) clusterOptions(a *app, timeout time.Duration) cluster.Options {
	return cluster.Options{
		Kubeconfig: m.kubeconfig, Context: m.context, Home: a.Home, Getenv: a.Getenv,
		Version: release.Version(), Timeout: timeout,
	}
}

// clusterObjects reads configmap://NAMESPACE/NAME and crd://.
func clusterObjects(name, scheme, rest string) (cluster.Objects, error) {
	switch scheme {
	case "configmap":
		namespace, object, ok := strings.Cut(rest, "/")
		if !ok || namespace == "" || object == "" || strings.Contains(object, "/") {
			return cluster.Objects{}, fmt.Errorf("%s: write configmap://NAMESPACE/NAME, such as configmap://kube-system/aws-auth", name)
		}
		return cluster.ConfigMap(namespace, object), nil
	case "crd":
		if rest != "" {
			return cluster.Objects{}, fmt.Errorf("%s: write crd://, which stands for all IAMIdentityMapping objects", name)
		}
		return cluster.IdentityMappings(), nil
	}
	return cluster.Objects{}, fmt.Errorf("%s: a source is a file, configmap://NAMESPACE/NAME, crd:// or eks://CLUSTER", name)
}

func (a *app) readSource(ctx context.Context, name string) ([]byte, error) {
	in, err := a.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, iammap.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// summariseMappings says what a source held.
func summariseMappings(s *iammap.Source) string {
	var parts []string
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{s.Count(iammap.ByRole), "role", "roles"},
		{s.Count(iammap.ByUser), "user", "users"},
		{s.Count(iammap.BySSO), "permission set", "permission sets"},
		{s.Count(iammap.ByPattern), "pattern", "patterns"},
		{s.Count(iammap.ByAccount), "account", "accounts"},
	} {
		switch c.n {
		case 0:
		case 1:
			parts = append(parts, "1 "+c.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.many))
		}
	}
	if parts == nil {
		parts = []string{"nobody"}
	}
	return fmt.Sprintf("%s, maps %s", s.Format, strings.Join(parts, ", "))
}

type lintOptions struct {
	output
	mappings
}

func (a *app) authenticatorLintCommand() *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint SOURCE...",
		Short: "Check mappings for entries that never match, hide each other or give too much",
		Long: `Check mappings for entries that never match, hide each other or give too much.
The sources are checked together, in the order in which a server would ask them.`,
		Example: `  kubectl -n kube-system get configmap aws-auth -o yaml | kubecred authenticator lint -
  kubecred authenticator lint aws-auth.yaml access-entries.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(report.Names()); err != nil {
				return err
			}
			o.sources = append(o.sources, args...)
			sources, err := o.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			p := lintMappings(sources)
			return a.show(&o.output, finding.NewReport(a.Now(), p.findings, p.sources))
		},
	}
	o.output.register(cmd)
	o.mappings.register(cmd)
	return cmd
}

// lintMappings is the check of mappings as a part of a report.
func lintMappings(sources []*iammap.Source) part {
	p := part{findings: iammap.Lint(sources...)}
	for _, s := range sources {
		p.sources = append(p.sources, finding.Source{Road: finding.Server, Name: s.Name, Summary: summariseMappings(s)})
	}
	return p
}

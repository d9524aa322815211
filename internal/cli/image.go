package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Say what a kubelet does with its image credential providers",
		Long: `The kubelet asks credential provider plugins for the logins of image registries.
These commands read the plugins' config as the kubelet does.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.imageLintCommand(), a.imageExplainCommand(), a.imageTryCommand(), a.imageConfigCommand())
	return cmd
}

// imageSource are the flags that say which config is meant.
type imageSource struct {
	configs []string
	version string
}

func (s *imageSource) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.configs, "config", nil, "file or directory that the kubelet is given as --image-credential-provider-config; - for stdin; may be repeated")
	cmd.Flags().StringVar(&s.version, "kubernetes-version", "", "judge for kubelets of this version, such as 1.25 (default: the newest known)")
}

// imagePaths are the configs that are meant, and the plugins' directory: those named,
// or else what the kubelet of this machine was given.
func (a *app) imagePaths(named []string, binDir, root string) ([]string, string, error) {
	if len(named) > 0 {
		return named, binDir, nil
	}
	k, ok := a.findKubelet(root)
	if !ok || k.Config == "" {
		return nil, "", errors.New("no config: give --config PATH, the file or directory of the kubelet's --image-credential-provider-config (no kubelet on this machine has one)")
	}
	fmt.Fprintf(a.Stderr, "reading %s, as the kubelet does (%s)\n", k.Config, k.Source)
	if binDir == "" {
		binDir = k.BinDir
	}
	return []string{k.Config}, binDir, nil
}

// loadImageConfigs reads the configs that are named.
func (a *app) loadImageConfigs(ctx context.Context, paths []string, version imagecred.Version) ([]*imagecred.Config, error) {
	var out []*imagecred.Config
	for _, path := range paths {
		if path == "-" {
			data, err := imagecred.ReadAll(a.Stdin)
			if err != nil {
				return nil, fmt.Errorf("stdin: %w", err)
			}
			out = append(out, imagecred.Parse("stdin", data, version))
			continue
		}
		c, err := imagecred.Load(ctx, path, version)
		var load *imagecred.LoadError
		if errors.As(err, &load) {
			return nil, fmt.Errorf("credential provider config %w", err)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// kubernetesVersion reads --kubernetes-version; "" is 0.
func (s *imageSource) kubernetesVersion() (imagecred.Version, error) {
	if s.version == "" {
		return 0, nil
	}
	v, err := imagecred.ParseVersion(s.version)
	if err != nil {
		return 0, fmt.Errorf("--kubernetes-version: %w", err)
	}
	return v, nil
}

// lintImageConfigs judges credential provider configs for the current kubelet;
// binDir may be empty.
func (a *app) lintImageConfigs(ctx context.Context, paths []string, binDir string) (part, error) {
	configs, err := a.loadImageConfigs(ctx, paths, 0)
	if err != nil {
		return part{}, err
	}
	return lintImages(configs, imagecred.LintOptions{BinDir: binDir}), nil
}

func lintImages(configs []*imagecred.Config, o imagecred.LintOptions) part {
	var p part
	for _, c := range configs {
		p.findings = append(p.findings, imagecred.Lint(c, o)...)
		p.sources = append(p.sources, finding.Source{Road: finding.Node, Name: c.Path, Summary: summarise(c)})
	}
	return p
}

// summarise says what a config holds.
func summarise(c *imagecred.Config) string {
	patterns := 0
	for i := range c.Providers {
		patterns += len(c.Providers[i].MatchImages)
	}
	s := count(len(c.Providers), "provider") + ", " + count(patterns, "pattern")
	if c.Directory {
		s = count(len(c.Files), "file") + ", " + s
	}
	return s
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

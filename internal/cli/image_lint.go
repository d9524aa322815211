package cli

import (
	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
	"github.com/kubecred/kubecred/internal/report"
)

type imageLintOptions struct {
	output
	imageSource
	binDir  string
	cluster bool
	clusterOptions
}

func (a *app) imageLintCommand() *cobra.Command {
	var o imageLintOptions
	cmd := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Judge credential provider configs as the kubelet will, and better",
		Long: `Reads a kubelet's credential provider config, a file or a directory, as the
kubelet does: what would stop the kubelet is an error, and so is a pattern that
is valid and never matches an image. Without a PATH it reads the config of the
kubelet that runs here. Nothing is run.`,
		Example: `  kubecred image lint credential-provider-config.yaml
  kubecred image lint --config /etc/kubernetes/credential-providers --bin-dir /opt/credential-providers
  kubecred image lint config.yaml --kubernetes-version 1.25 -o sarif`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(report.Names()); err != nil {
				return err
			}
			version, err := o.kubernetesVersion()
			if err != nil {
				return err
			}
			paths, binDir, err := a.imagePaths(append(append([]string(nil), o.configs...), args...), o.binDir, "")
			if err != nil {
				return err
			}
			configs, err := a.loadImageConfigs(cmd.Context(), paths, version)
			if err != nil {
				return err
			}
			p := lintImages(configs, imagecred.LintOptions{Version: version, BinDir: binDir})
			if o.cluster {
				client, err := a.connect(o.clusterOptions)
				if err != nil {
					return err
				}
				found, err := lintAudiences(cmd.Context(), client, configs)
				if err != nil {
					return err
				}
				p.findings = append(p.findings, found...)
			}
			return a.show(&o.output, finding.NewReport(a.Now(), p.findings, p.sources))
		},
	}
	o.output.register(cmd)
	o.imageSource.register(cmd)
	cmd.Flags().BoolVar(&o.cluster, "cluster", false, "also ask the cluster whether nodes may request the tokens that tokenAttributes name")
	cmd.Flags().StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file` for --cluster; default $KUBECONFIG, then ~/.kube/config")
	cmd.Flags().StringVar(&o.context, "context", "", "the kubeconfig's `context` to use")
	cmd.Flags().StringVar(&o.binDir, "bin-dir", "", "also look for the plugins' binaries here (the kubelet's --image-credential-provider-bin-dir)")
	return cmd
}

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
	binDir string
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
			p, err := a.lintImages(cmd.Context(), paths, imagecred.LintOptions{Version: version, BinDir: binDir})
			if err != nil {
				return err
			}
			return a.show(&o.output, finding.NewReport(a.Now(), p.findings, p.sources))
		},
	}
	o.output.register(cmd)
	o.imageSource.register(cmd)
	cmd.Flags().StringVar(&o.binDir, "bin-dir", "", "also look for the plugins' binaries here (the kubelet's --image-credential-provider-bin-dir)")
	return cmd
}

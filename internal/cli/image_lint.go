package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
	"github.com/kubecred/kubecred/internal/report"
)

type imageLintOptions struct {
	output
	imageSource
	imageHostOptions
	run    bool
	images []string
}

func (a *app) imageLintCommand() *cobra.Command {
	var o imageLintOptions
	cmd := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Judge credential provider configs as the kubelet will, and better",
		Long: `Reads a kubelet's credential provider config, a file or a directory, as the
kubelet does: what would stop the kubelet is an error, and so is a pattern that
is valid and never matches an image. Without a PATH it reads the config of the
kubelet that runs here.

Nothing is run and nobody is asked, unless a flag says so. --cluster asks whether
nodes may request the tokens that tokenAttributes name. --run runs each plugin
once, even where no pattern leads to it, and judges the answer as the kubelet
will: about the --image that its patterns are meant for, or else about an image
that is made up.`,
		Example: `  kubecred image lint credential-provider-config.yaml
  kubecred image lint --config /etc/kubernetes/credential-providers --bin-dir /opt/credential-providers
  kubecred image lint config.yaml --kubernetes-version 1.25 -o sarif
  kubecred image lint config.yaml --bin-dir bin --run --image registry.example.com/team/app --cluster --service-account apps/web`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(report.Names()); err != nil {
				return err
			}
			return a.imageLint(cmd.Context(), &o, append(append([]string(nil), o.configs...), args...))
		},
	}
	o.output.register(cmd)
	o.imageSource.register(cmd)
	o.imageClusterOptions.register(cmd)
	o.registerAccount(cmd)
	f := cmd.Flags()
	f.StringVar(&o.binDir, "bin-dir", "", "also look for the plugins' binaries here (the kubelet's --image-credential-provider-bin-dir)")
	f.BoolVar(&o.run, "run", false, "also run each plugin once, and judge its answer")
	f.StringArrayVar(&o.images, "image", nil, "an image to ask the plugins about with --run; may be repeated")
	return cmd
}

func (a *app) imageLint(ctx context.Context, o *imageLintOptions, named []string) error {
	version, err := o.kubernetesVersion()
	if err != nil {
		return err
	}
	paths, binDir, err := a.imagePaths(named, o.binDir, "")
	if err != nil {
		return err
	}
	o.binDir = binDir
	configs, err := a.loadImageConfigs(ctx, paths, version)
	if err != nil {
		return err
	}
	p := lintImages(configs, imagecred.LintOptions{Version: version, BinDir: o.binDir})
	if o.cluster {
		client, err := a.connect(o.clusterOptions)
		if err != nil {
			return err
		}
		found, err := lintAudiences(ctx, client, configs)
		if err != nil {
			return err
		}
		p.findings = append(p.findings, found...)
	}
	if o.run {
		found, err := a.probe(ctx, o, configs, version)
		if err != nil {
			return err
		}
		p.findings = append(p.findings, found...)
	} else if len(o.images) > 0 {
		return errors.New("--image goes with --run")
	}
	return a.show(&o.output, finding.NewReport(a.Now(), p.findings, p.sources))
}

// probe runs the plugins of the configs.
func (a *app) probe(ctx context.Context, o *imageLintOptions, configs []*imagecred.Config, version imagecred.Version) ([]finding.Finding, error) {
	hosts, err := a.imageHosts(configs, &o.imageHostOptions, version)
	if err != nil {
		return nil, err
	}
	var refs []imagecred.Ref
	for _, image := range o.images {
		ref, err := imagecred.ParseImage(image)
		if err != nil {
			return nil, fmt.Errorf("--image: %s; the kubelet says InvalidImageName", oneLine(err.Error()))
		}
		refs = append(refs, ref)
	}
	if o.account == "" {
		o.cluster = false // there is no pod to ask for
	}
	o.anyNode = true // what nodes may not have is told, and must not hide the rest
	pod, _, err := a.imagePod(ctx, &o.imageHostOptions)
	if err != nil {
		return nil, err
	}
	var out []finding.Finding
	for _, h := range hosts {
		found, err := h.Probe(ctx, refs, pod)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

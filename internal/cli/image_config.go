package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/imagecred"
)

type imageConfigOptions struct {
	imagecred.TemplateOptions
	version  string
	print    string
	audience string
}

func (a *app) imageConfigCommand() *cobra.Command {
	var o imageConfigOptions
	var names []string
	for _, k := range imagecred.Kinds() {
		names = append(names, k.Name)
	}
	cmd := &cobra.Command{
		Use:   "config --for KIND,...",
		Short: "Write a right credential provider config, and the kubelet's flags for it",
		Long: `Writes a config whose patterns cover every host of the kinds of registry that are
named (` + strings.Join(names, ", ") + `), or the hosts that are named with --plugin.`,
		Example: `  kubecred image config --for ecr > /etc/kubernetes/credential-provider-config.yaml
  kubecred image config --for ecr --print drop-in > /etc/systemd/system/kubelet.service.d/30-image-credentials.conf
  kubecred image config --for registry.example.com --plugin my-provider
  kubecred image config --print rbac --audience registry.example.com | kubectl apply -f -`,
		Args: noArguments("name registries with --for"),
		RunE: func(*cobra.Command, []string) error { return a.imageConfig(&o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.For, "for", nil, "kinds of registry ("+strings.Join(names, ", ")+") or hosts, separated by commas")
	f.StringVar(&o.Plugin, "plugin", "", "file name of the plugin for hosts")
	f.BoolVar(&o.Broker, "broker", false, "put kubecred-exec in front of the plugin, as a cache on the node")
	f.StringVar(&o.BinDir, "bin-dir", "/etc/kubernetes/credential-provider", "directory of the plugins on the node")
	f.StringVar(&o.ConfigPath, "path", "/etc/kubernetes/credential-provider-config.yaml", "where the config will be on the node")
	f.StringVar(&o.version, "kubernetes-version", "", "write for kubelets of this version (default: the newest known)")
	f.StringVar(&o.print, "print", "config", "what to write: config, flags, drop-in (for systemd), rbac (with --audience)")
	f.StringVar(&o.audience, "audience", "", "serviceAccountTokenAudience for which nodes are to be allowed to request tokens")
	must(cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("print", cobra.FixedCompletions([]string{"config", "flags", "drop-in", "rbac"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (a *app) imageConfig(o *imageConfigOptions) error {
	if o.print == "rbac" {
		if o.audience == "" {
			return errors.New("--print rbac needs --audience, the config's serviceAccountTokenAudience")
		}
		fmt.Fprint(a.Stdout, imagecred.AudienceRBAC(o.audience))
		return nil
	}
	if len(o.For) == 0 {
		return errors.New("nothing to write for: give --for, such as --for ecr")
	}
	source := imageSource{version: o.version}
	version, err := source.kubernetesVersion()
	if err != nil {
		return err
	}
	o.Version = version
	config, flags, err := imagecred.Template(o.TemplateOptions)
	if err != nil {
		return fmt.Errorf("--for: %w", err)
	}
	switch o.print {
	case "config":
		fmt.Fprintf(a.Stdout, "# %s, for the kubelet's flags\n#   %s\n", o.ConfigPath, strings.Join(flags, "\n#   "))
		fmt.Fprint(a.Stdout, config)
	case "flags":
		fmt.Fprintln(a.Stdout, strings.Join(flags, "\n"))
	case "drop-in":
		// kubeadm's and most other units add this variable at the end.
		fmt.Fprintf(a.Stdout, "# for a kubelet.service that runs the kubelet with $KUBELET_EXTRA_ARGS\n[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS=%s\"\n", strings.Join(flags, " "))
	default:
		return fmt.Errorf("--print %q: use config, flags, drop-in or rbac", o.print)
	}
	return nil
}

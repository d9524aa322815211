package cli

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/kubeconfig"
)

func (a *app) kubeconfigWrapCommand() *cobra.Command {
	var o editOptions
	var command string
	cmd := &cobra.Command{
		Use:   "wrap",
		Short: "Put kubecred-exec before the plugins of kubeconfigs",
		Long: `Wrap lets each exec entry run its plugin through 'kubecred-exec client --': it
answers from a cache, runs the plugin once however many ask, and translates
between versions of the protocol. Nothing else of the entry changes, and
'kubecred kubeconfig unwrap' gives the same bytes back.`,
		Example: `  kubecred kubeconfig wrap --dry-run --diff
  kubecred kubeconfig wrap --command /usr/local/bin/kubecred-exec`,
		Args: noArguments("name a kubeconfig with --kubeconfig"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := brokerCommand(command); err != nil {
				return err
			}
			err := a.edit(cmd.Context(), &o, func(f *kubeconfig.File) (*kubeconfig.Edit, error) { return f.Wrap(command) })
			if err == nil {
				a.hintBroker(command)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&command, "command", kubeconfig.Broker, "name or absolute path under which clients find kubecred-exec")
	o.register(cmd)
	return cmd
}

func (a *app) kubeconfigUnwrapCommand() *cobra.Command {
	var o editOptions
	cmd := &cobra.Command{
		Use:   "unwrap",
		Short: "Take kubecred-exec away from before the plugins of kubeconfigs",
		Example: `  kubecred kubeconfig unwrap --diff --dry-run
  kubecred kubeconfig unwrap --kubeconfig prod.yaml`,
		Args: noArguments("name a kubeconfig with --kubeconfig"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.edit(cmd.Context(), &o, (*kubeconfig.File).Unwrap)
		},
	}
	o.register(cmd)
	return cmd
}

// brokerCommand refuses what would not be known as kubecred-exec again.
func brokerCommand(command string) error {
	base := command[strings.LastIndexAny(command, `/\`)+1:]
	if strings.TrimSuffix(base, ".exe") != kubeconfig.Broker {
		return fmt.Errorf("--command %q: the program must be named %s", command, kubeconfig.Broker)
	}
	if strings.ContainsAny(command, " \t\n\"'") {
		return fmt.Errorf("--command %q: a path without blanks and quotes is wanted", command)
	}
	if strings.ContainsAny(command, `/\`) && command[0] != '/' && !(len(command) > 2 && command[1] == ':') {
		return fmt.Errorf("--command %q: an absolute path is wanted, or the bare name", command)
	}
	return nil
}

// hintBroker says what else a client needs to run the broker.
func (a *app) hintBroker(command string) {
	if len(kubeconfig.Executables(command, a.Getenv("PATH"), runtime.GOOS)) == 0 {
		fmt.Fprintf(a.Stderr, "%s is not found: put it into a folder of PATH before you use the file, or clients fail\n", command)
	}
	a.hintPolicy(command)
}

// hintPolicy prints the kuberc entry that a command needs, where a policy is in
// force.
func (a *app) hintPolicy(command string) {
	path := kubeconfig.KubercPath(a.Getenv, a.Home)
	policy, err := kubeconfig.ReadPolicy(path)
	if err != nil {
		fmt.Fprintf(a.Stderr, "%s: %v: kubectl may refuse plugins because of it\n", path, err)
		return
	}
	find := func(c string) []string { return kubeconfig.Executables(c, a.Getenv("PATH"), runtime.GOOS) }
	if policy.Allows(command, find) {
		return
	}
	fmt.Fprintf(a.Stderr, "%s sets credentialPluginPolicy: %s, so kubectl 1.35 and newer refuse %s; add one of the two entries:\n", path, policy.Type, command)
	for line := range strings.Lines(policy.Entry(command)) {
		fmt.Fprintf(a.Stderr, "    %s", line)
	}
}

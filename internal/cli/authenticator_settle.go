package cli

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/authenticator"
)

// settle joins flags, environment and config file, the first that says
// something first.
func (o *serveOptions) settle(cmd *cobra.Command, a *app) error {
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return unread("--config", "name a config file of aws-iam-authenticator's server that can be read", err)
		}
		if o.file, err = authenticator.ReadConfig(o.config, data); err != nil {
			return err
		}
		if o.file.Master != "" {
			return fmt.Errorf("%s: server.master: %s", o.config, goneFlags["master"])
		}
	}
	if len(o.clusters) == 0 {
		for _, id := range []string{a.Getenv("KUBERNETES_AWS_AUTHENTICATOR_CLUSTER_ID"), o.file.ClusterID} {
			if id != "" {
				o.clusters = []string{id}
				break
			}
		}
	}
	if len(o.clusters) == 0 {
		return errors.New("no cluster id: name the cluster that tokens are made for with --cluster-id, or clusterID in the config file")
	}
	o.partition = first(o.partition, o.file.Partition, "aws")
	o.kubeconfig = first(o.kubeconfig, o.file.Kubeconfig)
	if len(o.regions) > 0 {
		o.region = o.regions[0]
	}
	if err := o.settleAddress(cmd); err != nil {
		return err
	}
	if (o.cert == "") != (o.key == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	o.state = first(o.state, o.file.StateDir, "/var/aws-iam-authenticator")
	if !o.pregenerated && !o.file.KubeconfigPregenerated {
		o.generate = first(o.generate, o.file.GenerateKubeconfig)
	}
	switch {
	case o.cacheSize < 0:
		return errors.New("--cache-size can not be negative; 0 is for no cache")
	case o.cacheSize == 0:
		o.cacheSize = -1 // none, where the library's 0 stands for its default
	}
	if o.cacheTTL <= 0 || o.stsTimeout <= 0 || o.grace < 0 || o.linger < 0 {
		return errors.New("--cache-ttl and --sts-timeout must be more than nothing, --grace and --linger not less (--cache-size 0 switches the cache off)")
	}
	if l := o.limits; l.InFlight < 0 || l.InFlightPerPrincipal < 0 || l.QPS < 0 || l.QPSPerPrincipal < 0 || o.maxConns < 1 {
		return errors.New("a limit can not be negative, and --max-connections not 0")
	}
	return o.settleMappings(cmd)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// settleAddress takes HOST:PORT, or as the authenticator has it a host in
// --address and a port in --port.
func (o *serveOptions) settleAddress(cmd *cobra.Command) error {
	if o.address == "" {
		if o.port != 0 {
			o.file.Port = o.port
		}
		o.address = o.file.ListenAddress()
	}
	if _, _, err := net.SplitHostPort(o.address); err == nil {
		if cmd.Flags().Changed("port") && o.port != 0 && !strings.HasSuffix(o.address, ":"+strconv.Itoa(o.port)) {
			return fmt.Errorf("--address %s and --port %d name two ports", o.address, o.port)
		}
		return nil
	}
	if net.ParseIP(o.address) == nil && strings.Contains(o.address, ":") {
		return fmt.Errorf("--address %q: give HOST:PORT such as 127.0.0.1:21362", o.address)
	}
	port := o.port
	if port == 0 {
		port = o.file.Port
	}
	if port == 0 {
		port = 21362
	}
	o.address = net.JoinHostPort(o.address, strconv.Itoa(port))
	return nil
}

// settleMappings turns back ends into sources before those of --mapping.
func (o *serveOptions) settleMappings(cmd *cobra.Command) error {
	modes, err := authenticator.Modes(o.backends)
	if err != nil {
		return fmt.Errorf("--backend-mode: %w", err)
	}
	if modes == nil {
		modes = o.file.BackendMode
	}
	if modes == nil && o.config != "" {
		modes = []string{"MountedFile"}
	}
	if o.config == "" && cmd.Flags().Changed("backend-mode") && slices.ContainsFunc(modes, func(m string) bool { return m == "MountedFile" || m == "DynamicFile" }) {
		return errors.New("--backend-mode MountedFile and DynamicFile need --config; without it name files with --mapping")
	}
	var sources []string
	for _, m := range modes {
		switch m {
		case "MountedFile":
			sources = append(sources, configSource)
		case "EKSConfigMap":
			sources = append(sources, "configmap://kube-system/aws-auth")
		case "CRD":
			sources = append(sources, "crd://")
		case "DynamicFile":
			if o.file.DynamicFilePath == "" {
				return errors.New("--backend-mode DynamicFile needs server.dynamicfilepath in the config file")
			}
			sources = append(sources, o.file.DynamicFilePath)
		}
	}
	if o.config != "" && !slices.Contains(sources, configSource) {
		sources = append([]string{settingsSource}, sources...)
	}
	o.sources = append(sources, o.sources...)
	if len(o.sources) == 0 {
		return errNoMapping
	}
	return nil
}

// oldFlags are those of aws-iam-authenticator that work under their old name.
func oldFlags(cmd *cobra.Command, o *serveOptions) {
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 0, "port to listen on, where --address is a host alone")
	f.StringVarP(&o.logLevel, "log-verbosity", "v", "info", "old name of --log-level")
	f.BoolVar(&o.pregenerated, "kubeconfig-pregenerated", false, "do not write the webhook kubeconfig that the config file names")
	for _, name := range []string{"port", "log-verbosity", "kubeconfig-pregenerated"} {
		must(f.MarkHidden(name))
	}
	for name := range goneFlags {
		f.String(name, "", "")
		must(f.MarkHidden(name))
	}
}

// goneFlags are those that do not work, with what to do instead.
var goneFlags = map[string]string{
	"master":                      "put the address into a kubeconfig and name it with --kubeconfig",
	"feature-gates":               "drop it: sso matchers are always read, and so is crd://",
	"ec2-describeInstances-qps":   "drop it: instances are asked for in batches, which --sts-qps does not count",
	"ec2-describeInstances-burst": "drop it: instances are asked for in batches",
}

func refuseFlags(cmd *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(goneFlags)) {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is not a flag of this server: %s", name, goneFlags[name])
		}
	}
	return nil
}

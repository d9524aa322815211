package explain

import (
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// plugin is an exec plugin that people use, and what mends most of its failures.
type plugin struct {
	// names are the program's names without .exe; the second word of kubectl's
	// own plugins stands behind a dash ("kubectl-oidc_login").
	names []string
	// login renews what the plugin lives on.
	login string
	// identity says which account the plugin acts as, and how another is chosen.
	identity string
	// cache is where it keeps credentials; empty where it keeps none.
	cache string
}

var plugins = []plugin{
	{[]string{"aws", "aws2"}, "aws sso login --profile PROFILE", "the AWS profile, or the keys, of the process that runs it", ""},
	{[]string{"aws-iam-authenticator", "heptio-authenticator-aws"}, "aws sso login --profile PROFILE", "the AWS profile, or the keys, of the process that runs it", "~/.kube/cache/aws-iam-authenticator"},
	{[]string{"gke-gcloud-auth-plugin", "gcloud"}, "gcloud auth login", "gcloud's active account (gcloud auth list)", "~/.kube/gke_gcloud_auth_plugin_cache"},
	{[]string{"kubelogin"}, "az login; kubelogin remove-tokens", "the login that --login (-l) among the args names", "~/.kube/cache/kubelogin"},
	{[]string{"kubectl-oidc_login", "oidc-login", "oidc_login"}, "kubectl oidc-login clean", "whoever logged in at the provider with the browser", "~/.kube/cache/oidc-login"},
	{[]string{"doctl"}, "doctl auth init", "the context that --context among the args names (doctl auth list)", "~/.config/doctl/cache/exec-credential"},
	{[]string{"tsh", "tbot"}, "tsh login; tsh kube login CLUSTER", "the Teleport user of tsh status", ""},
	{[]string{"oci"}, "oci session authenticate", "the profile DEFAULT of ~/.oci/config, unless --profile (and --auth) stands among the args", ""},
	{[]string{"ibmcloud"}, "ibmcloud login", "the account of ibmcloud target", ""},
	{[]string{"pinniped", "tanzu"}, "pinniped whoami", "whoever logged in at the supervisor", "~/.config/pinniped"},
	{[]string{"kubectl-gardenlogin", "gardenlogin"}, "gardenlogin's own configuration, ~/.garden/gardenlogin.yaml", "the garden cluster's kubeconfig that its configuration names", "~/.kube/cache/gardenlogin"},
	{[]string{"nebius"}, "nebius profile activate PROFILE", "the profile that --profile among the args names", ""},
	{[]string{"yc"}, "yc init", "the active profile of yc config profile list", ""},
	{[]string{"rancher"}, "rancher login SERVER", "the user and server that the args name", ""},
	{[]string{"infra"}, "infra login SERVER", "whoever logged in last", ""},
	{[]string{"client-keystone-auth"}, "the OS_ variables of the shell (openstack token issue)", "the OS_ variables of the process that runs it", ""},
	{[]string{"argocd-k8s-auth"}, "the cloud identity of Argo CD's pods", "the role or identity of the pod's service account", ""},
	{[]string{"exo", "scw", "civo", "hcloud", "linode-cli", "ionosctl", "ack-ram-tool"}, "the tool's own login", "the tool's active profile", ""},
}

// pluginNamed finds a plugin by the name or path of its program.
func pluginNamed(program string) (plugin, bool) {
	name := strings.ToLower(baseName(strings.ReplaceAll(strings.Trim(program, `"'`), `\`, "/")))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".exe"), ".cmd")
	for _, p := range plugins {
		for _, n := range p.names {
			if n == name {
				return p, true
			}
		}
	}
	return plugin{}, false
}

// namePlugin notes which plugin the inputs speak of and what is known of it:
// the one that an error names comes before the one of an exec block.
func (e *evidence) namePlugin() {
	for _, key := range []string{"plugin.failed", "exec.program"} {
		for _, f := range e.facts[key] {
			program := f.value
			if program == "kubectl" && strings.Contains(e.first("exec.args"), "oidc-login") {
				program = "oidc-login"
			}
			p, ok := pluginNamed(program)
			if !ok {
				continue
			}
			e.add("plugin.name", p.names[0], f.where)
			e.add("plugin.login", p.login, finding.Where{})
			e.add("plugin.identity", p.identity, finding.Where{})
			e.add("plugin.cache", p.cache, finding.Where{})
			return
		}
	}
}

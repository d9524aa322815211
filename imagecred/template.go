package imagecred

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of registry whose plugin and hosts are known.
type Kind struct {
	Name string
	// Plugin is the file name of the usual binary, Args are what it is run with.
	Plugin string
	Args   []string
	// Patterns cover every host of the kind.
	Patterns []string
	// Life is how long an answer is kept that does not say.
	Life string
	// Source is where the facts are from.
	Source string
}

// Kinds lists the kinds of registry, from the plugins' own documentation.
func Kinds() []Kind {
	var ecr, iso []string
	for _, f := range ecrForms {
		switch {
		case strings.Contains(f.Name, "ISO"):
			iso = append(iso, f.Pattern)
		default:
			ecr = append(ecr, f.Pattern)
		}
	}
	return []Kind{
		{"ecr", "ecr-credential-provider", []string{"get-credentials"}, ecr, "12h", "https://github.com/kubernetes/cloud-provider-aws"},
		{"ecr-iso", "ecr-credential-provider", []string{"get-credentials"}, iso, "12h", "https://github.com/kubernetes/cloud-provider-aws"},
		{"acr", "acr-credential-provider", []string{"/etc/kubernetes/azure.json"}, []string{"*.azurecr.io", "*.azurecr.cn", "*.azurecr.de", "*.azurecr.us"}, "10m", "https://github.com/kubernetes-sigs/cloud-provider-azure"},
		{"gcp", "auth-provider-gcp", []string{"get-credentials"}, []string{"gcr.io", "*.gcr.io", "*.pkg.dev", "container.cloud.google.com"}, "1m", "https://github.com/kubernetes/cloud-provider-gcp"},
	}
}

// TemplateOptions say what config to write.
type TemplateOptions struct {
	// For names kinds of registry, or hosts.
	For []string
	// Plugin is the binary for hosts, which have no usual one.
	Plugin string
	// Broker runs the plugins through kubecred-exec.
	Broker bool
	// BinDir is the directory of the plugins, ConfigPath the file's own place.
	BinDir, ConfigPath string
	Version            Version
}

// Template writes a config, and the kubelet's flags for it.
func Template(o TemplateOptions) (config string, flags []string, err error) {
	providers, err := o.providers()
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nproviders:\n", o.Version.orCurrent().newestConfig(), configKind)
	for _, p := range providers {
		fmt.Fprintf(&b, "- name: %s\n  matchImages:\n", yamlText(p.Plugin))
		for _, m := range p.Patterns {
			fmt.Fprintf(&b, "  - %q\n", m)
		}
		fmt.Fprintf(&b, "  defaultCacheDuration: %q\n  apiVersion: %s\n", p.Life, o.Version.orCurrent().newestPlugin())
		if len(p.Args) > 0 {
			b.WriteString("  args:\n")
			for _, a := range p.Args {
				fmt.Fprintf(&b, "  - %s\n", yamlText(a))
			}
		}
	}
	return b.String(), []string{"--" + flagConfig + "=" + o.ConfigPath, "--" + flagBinDir + "=" + o.BinDir}, nil
}

// yamlText quotes a text where YAML might read it as something else.
func yamlText(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./_") == "" && strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyz") && !strings.HasPrefix(s, "-") && !yaml11Bool().MatchString(s) && s != "null" {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func (o TemplateOptions) providers() ([]Kind, error) {
	kinds := Kinds()
	var out []Kind
	var hosts []string
	for _, name := range o.For {
		i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
		switch {
		case i >= 0:
			out = join(out, kinds[i])
		case strings.ContainsAny(name, ".:") || name == "localhost":
			if _, err := Compile(name); err != nil {
				return nil, fmt.Errorf("%s: %w", quote(name), err)
			}
			for _, f := range Faults(name) {
				if f.Never {
					return nil, fmt.Errorf("%s: %s", quote(name), f.Message)
				}
			}
			hosts = append(hosts, name)
		default:
			var names []string
			for _, k := range kinds {
				names = append(names, k.Name)
			}
			return nil, fmt.Errorf("%s is no kind of registry that is known: use %s, or a host", quote(name), strings.Join(names, ", "))
		}
	}
	if len(hosts) > 0 {
		if o.Plugin == "" || strings.ContainsAny(o.Plugin, "/ ") || o.Plugin == "." || o.Plugin == ".." {
			return nil, fmt.Errorf("%s: a host needs the file name of the plugin that knows it, with --plugin", strings.Join(hosts, ", "))
		}
		out = join(out, Kind{Plugin: o.Plugin, Patterns: hosts, Life: "10m"})
	}
	if o.Broker {
		return o.brokered(out)
	}
	return out, nil
}

// join adds a kind; kinds of the same plugin are one provider, whose name may
// be there only once.
func join(out []Kind, k Kind) []Kind {
	for i := range out {
		if out[i].Plugin == k.Plugin {
			out[i].Patterns = append(slices.Clone(out[i].Patterns), k.Patterns...)
			return out
		}
	}
	return append(out, k)
}

// brokered runs the one plugin through kubecred-exec, which is then the
// provider's name.
func (o TemplateOptions) brokered(kinds []Kind) ([]Kind, error) {
	if len(kinds) != 1 {
		return nil, fmt.Errorf("a provider's name is its binary's, so kubecred-exec can be in front of one plugin only; make a link of another name for each further one")
	}
	k := kinds[0]
	issuer := k.Plugin
	if o.BinDir != "" {
		issuer = strings.TrimSuffix(o.BinDir, "/") + "/" + k.Plugin
	}
	k.Args = append([]string{"image", "--", issuer}, k.Args...)
	k.Plugin = "kubecred-exec"
	return []Kind{k}, nil
}

// AudienceRBAC is the right that nodes need to request service account tokens
// for an audience, as manifests (KEP-4412).
func AudienceRBAC(audience string) string {
	return fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubelet-image-credential-audience
rules:
- apiGroups: [""]
  resources: [%q]
  verbs: ["request-serviceaccounts-token-audience"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kubelet-image-credential-audience
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: kubelet-image-credential-audience
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: system:nodes
`, audience)
}

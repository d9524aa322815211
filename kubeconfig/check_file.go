package kubeconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// file judges the file at hand as a whole.
func (c *checker) file() {
	c.header()
	c.sections()
	c.mode600()
	if c.f.Documents > 1 {
		f := c.add("KC120", "the file", Place{}, "holds %d YAML documents, and clients read the first one only", c.f.Documents)
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "give each document a file of its own, and list them in KUBECONFIG"}
	}
}

// header judges the file's own apiVersion and kind: where they are given, clients
// want v1 and Config (k8s.io/client-go tools/clientcmd/api/latest).
func (c *checker) header() {
	v := c.f.APIVersion
	switch {
	case strings.HasPrefix(v.Value, execGroup):
		f := c.add("KC127", "the file", v.Place, "the file's own apiVersion was edited instead of the exec block's: it must be v1")
		f.Where.Text = c.text("apiVersion", v)
		f.Details = []string{`a client says: no kind "Config" is registered for version ` + quote(v.Value), "the exec block below users has an apiVersion of its own, which is the plugin's"}
		f.Fix = finding.Fix{Summary: c.fixSummary(), Command: c.fixCommand("kubecred kubeconfig fix")}
	case v.Value != "" && v.Value != "v1":
		f := c.add("KC127", "the file", v.Place, "apiVersion %s is no kubeconfig's: it must be v1", quoted(v.Value))
		f.Where.Text = c.text("apiVersion", v)
		f.Details = []string{`a client says: no kind "Config" is registered for version ` + quote(v.Value)}
		f.Fix = finding.Fix{Summary: "write apiVersion: v1, if this is a kubeconfig"}
	}
	if k := c.f.Kind; k.Value != "" && k.Value != "Config" {
		f := c.add("KC127", "the file", k.Place, "kind %s is no kubeconfig's: it must be Config", quoted(k.Value))
		f.Where.Text = c.text("kind", k)
		f.Details = []string{`a client says: no kind ` + quote(k.Value) + ` is registered for version "v1"`}
		f.Fix = finding.Fix{Summary: "write kind: Config, if this is a kubeconfig"}
	}
}

// sectionNames are the lists of a kubeconfig.
var sectionNames = []string{"clusters", "contexts", "users"}

// sections finds lists that are null or missing.
func (c *checker) sections() {
	root := newFields(c.f.root)
	var null, missing []string
	at := Place{}
	for _, name := range sectionNames {
		n := root.node(name)
		switch {
		case n == nil:
			missing = append(missing, name)
		case typeOf(n) == typeNull:
			null = append(null, name)
			if at.Line == 0 {
				at = place(n)
			}
		}
	}
	if len(null) > 0 {
		f := c.add("KC128", list(null), at, "null instead of a list: %s", nullEffect(null))
		f.Details = []string{"kubectl reads null as an empty list; the AWS CLI stops with: 'NoneType' object is not iterable"}
		f.Fix = finding.Fix{Summary: "write [] instead of null, or delete the file if nothing else is in it"}
	}
	if len(missing) == len(sectionNames) {
		f := c.add("KC127", "the file", Place{Line: 1, Column: 1}, "it has neither clusters nor contexts nor users, so it is no kubeconfig, or an empty one")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "give the right file with --kubeconfig"}
	}
}

func nullEffect(names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = n + ": null"
	}
	return strings.Join(parts, ", ") + " is what deleting the last entry leaves behind, and other programs stumble over it"
}

// mode600 judges who may read the file.
func (c *checker) mode600() {
	if c.env.Mode == nil || c.env.GOOS == "windows" {
		return
	}
	mode, err := c.env.Mode(c.f.Name)
	if err != nil || !mode.IsRegular() || mode.Perm()&0o077 == 0 {
		return
	}
	whom := "everybody on this machine"
	if mode.Perm()&0o007 == 0 {
		whom = "its whole group"
	}
	f := c.add("KC137", "the file", Place{}, "mode %04o lets %s read it", mode.Perm(), whom)
	if mode.Perm()&0o044 == 0 {
		f.Message = "mode " + strings.TrimPrefix(mode.Perm().String(), "-") + " lets others change it"
	}
	if c.f.holdsSecrets() {
		f.Message += ", and it holds secrets"
	} else if mode.Perm()&0o022 == 0 {
		f.Severity = finding.Info
	}
	f.Fix = finding.Fix{Command: "chmod 600 " + ShellQuote(c.f.Name)}
	if c.f.Name == "-" {
		c.out = c.out[:len(c.out)-1]
	}
}

// holdsSecrets tells whether the file has a credential in the open.
func (f *File) holdsSecrets() bool {
	for _, u := range f.Users {
		if u.Token.Value != "" || u.Password.Value != "" || u.KeyData.Value != "" || holdsSecretTree(u.authProvider) {
			return true
		}
		if u.Exec == nil {
			continue
		}
		for _, v := range u.Exec.Env {
			if v.Value.Value != "" && (isSecretName(v.Name.Value) || looksSecret(v.Value.Value)) {
				return true
			}
		}
		if len(argSecrets(u.Exec)) > 0 {
			return true
		}
	}
	return false
}

func holdsSecretTree(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	m := &Masker{}
	m.tree(n)
	return len(m.values) > 0
}

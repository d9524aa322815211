package kubeconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// execs judges the exec blocks of the file at hand.
func (c *checker) execs() {
	var summary *string
	fix := func() finding.Fix {
		if summary == nil {
			s := c.fixSummary()
			summary = &s
		}
		return finding.Fix{Summary: *summary, Command: c.fixCommand("kubecred kubeconfig fix")}
	}
	for i, u := range c.f.Users {
		if u.Exec != nil {
			c.exec(u, subject("user", "users", i, u.Name), fix)
		}
	}
	c.olderEntries(fix)
	c.missingCommands()
	c.refusedCommands()
	c.versions()
	c.mixed()
}

// fixSummary says what `fix` would do to the file.
func (c *checker) fixSummary() string {
	p, err := c.f.planFix("") // whether it can be done safely is for fix itself to say
	if err != nil || len(p.splices) == 0 {
		return ""
	}
	changed, added, _ := c.f.countLines(p.splices)
	var parts []string
	if changed > 0 {
		parts = append(parts, plural(changed, "line changes", "lines change"))
	}
	switch {
	case added > 0 && changed > 0:
		parts = append(parts, plural(added, "is added", "are added"))
	case added > 0:
		parts = append(parts, plural(added, "line is added", "lines are added"))
	}
	return strings.Join(parts, ", ") + "; --diff shows them"
}

func (c *checker) exec(u User, who string, fix func() finding.Fix) {
	x := u.Exec
	plugin, known := PluginOf(x.Command.Value, x.ArgValues())
	version := x.Version()
	switch {
	case typeOf(orNull(x.APIVersion.node)) != typeString:
		if !x.APIVersion.Set() || typeOf(x.APIVersion.node) == typeNull {
			f := c.add("KC102", who, x.Place, "the exec block has no apiVersion, which clients require")
			f.Details = []string{"a client says: apiVersion must be specified for " + u.Name.Value + " to use exec authentication plugin"}
			f.Fix = fix()
		}
	case version == V1alpha1:
		f := c.add("KC101", who, x.APIVersion.Place, "exec API v1alpha1, which every client since 1.24 refuses")
		f.Where.Text = c.text("apiVersion", x.APIVersion)
		f.Details = []string{"clients know v1beta1 (from 1.11 on) and v1 (from 1.22 on)"}
		f.Fix = fix()
		if known {
			f.Evidence["plugin"] = plugin.Name
			if plugin.Oldest != "" && plugin.Knows(V1beta1) {
				f.Details = append(f.Details, fmt.Sprintf("%s answers v1beta1 and v1 from %s on: upgrade an older one first", plugin.Name, plugin.Oldest))
			}
		}
	case version == V1 || version == V1beta1:
		c.speaks(u, who, plugin, known, fix)
	default:
		f := c.add("KC102", who, x.APIVersion.Place, "exec API %q, which no client knows", x.APIVersion.Value)
		f.Where.Text = c.text("apiVersion", x.APIVersion)
		f.Details = []string{"clients know client.authentication.k8s.io/v1beta1 (from 1.11 on) and client.authentication.k8s.io/v1 (from 1.22 on)"}
		f.Fix = fix()
	}
	c.mode(u, who, version, fix)
	c.execParts(u, who)
	c.command(u, who, plugin, known)
	c.allowed(u, who)
	c.execSecrets(u, who)
	if i, ok := x.dashes(); ok { // what stands behind the broker is judged as if it stood alone
		issuer := *x
		issuer.Command, issuer.Args = x.Args[i+1], x.Args[i+2:]
		u.Exec = &issuer
		plugin, known = PluginOf(issuer.Command.Value, issuer.ArgValues())
		c.command(u, who, plugin, known)
	}
	c.known(u, who, plugin, known)
}

// speaks compares the entry's version with what its plugin is known to answer.
func (c *checker) speaks(u User, who string, plugin Plugin, known bool, fix func() finding.Fix) {
	x := u.Exec
	version := x.Version()
	if !known {
		return
	}
	if !plugin.Knows(version) {
		f := c.add("KC105", who, x.APIVersion.Place, "the entry asks for %s, and %s answers %s only", version, plugin.Name, strings.Join(plugin.Versions(), " and "))
		f.Where.Text = c.text("apiVersion", x.APIVersion)
		f.Details = []string{fmt.Sprintf("a client says: exec plugin is configured to use API version %s%s, plugin returned version %s%s", execGroup, version, execGroup, plugin.Versions()[0])}
		f.Fix = fix()
		return
	}
	if version == V1beta1 && plugin.Knows(V1) {
		c.older = append(c.older, olderEntry{plugin, strings.TrimPrefix(who, "user "), x.APIVersion})
	}
}

// olderEntry is an entry that asks for less than its plugin speaks.
type olderEntry struct {
	plugin Plugin
	user   string
	at     Scalar
}

// older notes, once a plugin, the entries that could ask for v1.
func (c *checker) olderEntries(fix func() finding.Fix) {
	seen := map[string]bool{}
	for _, o := range c.older {
		if seen[o.plugin.Name] {
			continue
		}
		seen[o.plugin.Name] = true
		var users []string
		for _, other := range c.older {
			if other.plugin.Name == o.plugin.Name {
				users = append(users, other.user)
			}
		}
		f := c.add("KC104", usersSubject(users), o.at.Place, "exec API v1beta1, where %s speaks v1 too", o.plugin.Name)
		f.Where.Text = c.text("apiVersion", o.at)
		for _, s := range o.plugin.Speaks {
			f.Details = append(f.Details, fmt.Sprintf("from %s on it answers %s: %s", s.Since, strings.Join(s.Versions, ", "), s.Note))
		}
		f.Details = append(f.Details, "v1beta1 is read by clients from 1.11 on, so keep it where an old one is still in use")
		f.Fix = fix()
		f.Evidence["plugin"] = o.plugin.Name
		f.Evidence["since"] = o.plugin.Oldest
		f.Evidence["users"] = anyList(users)
	}
	c.older = nil
}

// usersSubject names users, or counts them where there are many.
func usersSubject(users []string) string {
	switch n := len(users); {
	case n == 1:
		return "user " + users[0]
	case n <= 3:
		return "users " + list(users)
	default:
		return plural(n, "user", "users")
	}
}

func anyList(names []string) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

func (c *checker) mode(u User, who, version string, fix func() finding.Fix) {
	x := u.Exec
	m := x.InteractiveMode
	switch {
	case m.Set() && typeOf(m.node) != typeString && typeOf(m.node) != typeNull:
		return // the type check names it
	case m.Value == "" && version == V1:
		f := c.add("KC103", who, nodePlace(m.node, x.APIVersion.Place), "exec API v1 without interactiveMode, which v1 requires")
		f.Where.Text = c.text("apiVersion", x.APIVersion)
		f.Details = []string{"a client says: interactiveMode must be specified for " + u.Name.Value + " to use exec authentication plugin"}
		f.Fix = fix()
	case m.Value != "" && !slices.Contains([]string{"Never", "IfAvailable", "Always"}, m.Value):
		f := c.add("KC109", who, m.Place, "interactiveMode %q, where clients know Never, IfAvailable and Always", m.Value)
		f.Where.Text = c.text("interactiveMode", m)
		f.Fix = finding.Fix{Summary: "write interactiveMode: IfAvailable"}
		for _, known := range []string{"Never", "IfAvailable", "Always"} {
			if strings.EqualFold(m.Value, known) {
				f.Fix = fix()
			}
		}
	case m.Value == "Always":
		f := c.add("KC110", who, m.Place, "interactiveMode Always: without a terminal (CI, cron, a GUI) the client fails before it runs the plugin")
		f.Severity = finding.Info
		f.Where.Text = c.text("interactiveMode", m)
		f.Fix = finding.Fix{Summary: "write interactiveMode: IfAvailable where the plugin can do without a person"}
	}
}

// execParts finds what clients refuse in an exec block besides its version
// (k8s.io/client-go tools/clientcmd/validation.go).
func (c *checker) execParts(u User, who string) {
	x := u.Exec
	if x.Command.Value == "" && (!x.Command.Set() || typeOf(x.Command.node) == typeString || typeOf(x.Command.node) == typeNull) {
		f := c.add("KC109", who, nodePlace(x.Command.node, x.Place), "the exec block has no command")
		f.Details = []string{"a client says: command must be specified for " + u.Name.Value + " to use exec authentication plugin"}
		f.Fix = finding.Fix{Summary: "write the plugin's name or path as command"}
	}
	for i, e := range x.Env {
		if e.Name.Value == "" && (!e.Name.Set() || typeOf(e.Name.node) == typeString || typeOf(e.Name.node) == typeNull) {
			f := c.add("KC109", who, nodePlace(e.Name.node, x.Place), "exec.env[%d] has no name", i)
			f.Fix = finding.Fix{Summary: "give the variable a name, or take the entry away"}
		}
	}
	if u.AuthProvider.Set() {
		f := c.add("KC109", who, u.AuthProvider.Place, "auth-provider and exec in one user, which clients refuse")
		f.Details = []string{"a client says: authProvider cannot be provided in combination with an exec plugin for " + u.Name.Value}
		f.Fix = finding.Fix{Summary: "take auth-provider away"}
	}
	for _, s := range []struct {
		what string
		at   Scalar
	}{{"token", u.Token}, {"tokenFile", u.TokenFile}, {"client certificate", u.Cert}, {"client certificate", u.CertData}, {"username", u.Username}} {
		if s.at.Value == "" {
			continue
		}
		f := c.add("KC114", who, s.at.Place, "a static %s stands beside the exec block, so the plugin is never run", s.what)
		f.Fix = finding.Fix{Summary: "take one of them away"}
		break
	}
}

// versions says which clients can read the file's entries, one note a version.
func (c *checker) versions() {
	users := map[string][]string{}
	first := map[string]Scalar{}
	for i, u := range c.f.Users {
		if u.Exec == nil {
			continue
		}
		v := u.Exec.Version()
		users[v] = append(users[v], strings.TrimPrefix(subject("user", "users", i, u.Name), "user "))
		if len(users[v]) == 1 {
			first[v] = u.Exec.APIVersion
		}
	}
	who := func(v string) string { return usersSubject(users[v]) }
	if len(users[V1]) > 0 {
		f := c.add("KC106", who(V1), first[V1].Place, "exec API v1 needs a kubectl of 1.22, or a tool built with client-go 0.22, or newer")
		f.Where.Text = c.text("apiVersion", first[V1])
		f.Details = []string{`an older one says: exec plugin: invalid apiVersion "client.authentication.k8s.io/v1"`, "v1beta1 is read by old and new clients alike"}
		f.Fix = finding.Fix{Summary: "upgrade that tool; until then", Command: c.fixCommand("kubecred kubeconfig fix --to v1beta1")}
	}
	if len(users[V1beta1]) > 0 {
		f := c.add("KC106", who(V1beta1), first[V1beta1].Place, "exec API v1beta1 needs a kubectl of 1.11 or newer; an older one is too old for any exec plugin of today")
		f.Where.Text = c.text("apiVersion", first[V1beta1])
		f.Details = []string{`a kubectl that is too old says: exec plugin: invalid apiVersion "client.authentication.k8s.io/v1beta1"`}
		f.Fix = finding.Fix{Summary: "upgrade kubectl where that is said"}
	}
}

// mixed finds one plugin asked in two versions.
func (c *checker) mixed() {
	type use struct {
		version string
		at      Scalar
		user    string
	}
	byPlugin := map[string][]use{}
	var order []string
	for i, u := range c.f.Users {
		if u.Exec == nil || u.Exec.Version() == "" {
			continue
		}
		name := commandBase(u.Exec.Command.Value)
		if p, ok := PluginOf(u.Exec.Command.Value, u.Exec.ArgValues()); ok {
			name = p.Name
		}
		if byPlugin[name] == nil {
			order = append(order, name)
		}
		byPlugin[name] = append(byPlugin[name], use{u.Exec.Version(), u.Exec.APIVersion, subject("user", "users", i, u.Name)})
	}
	for _, name := range order {
		uses := byPlugin[name]
		for _, other := range uses[1:] {
			if other.version == uses[0].version {
				continue
			}
			f := c.add("KC113", other.user, other.at.Place, "asks %s for %s, while %s asks it for %s", quoted(name), other.version, uses[0].user, uses[0].version)
			f.Where.Text = c.text("apiVersion", other.at)
			f.Fix = finding.Fix{Summary: "one version for both", Command: c.fixCommand("kubecred kubeconfig fix")}
			break
		}
	}
}

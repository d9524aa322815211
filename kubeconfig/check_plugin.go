package kubeconfig

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// missingCommand is a plugin that was not found.
type missingCommand struct {
	command, searched string
	user              string
	at                Scalar
	hint              string
	plugin            string
}

// command judges where a client will look for the plugin: a bare name in PATH, a
// path with a separator relative to the kubeconfig (client-go's
// ResolveLocalPaths).
func (c *checker) command(u User, who string, plugin Plugin, known bool) {
	x := u.Exec
	cmd := x.Command.Value
	if cmd == "" {
		return
	}
	hint := x.InstallHint.Value
	if hint == "" && known {
		hint = plugin.Install
	}
	hasSeparator := strings.ContainsRune(cmd, filepath.Separator) || strings.Contains(cmd, "/")
	switch {
	case strings.HasPrefix(cmd, "~") || strings.Contains(cmd, "$") || strings.Contains(cmd, "%") && strings.Count(cmd, "%") >= 2:
		f := c.add("KC107", who, x.Command.Place, "the command %s is not found: clients run it without a shell, so ~ and variables stay as they are", quoted(cmd))
		f.Where.Text = c.text("command", x.Command)
		f.Fix = finding.Fix{Summary: "write the absolute path, or the bare name of a program in PATH"}
		return
	case !hasSeparator && strings.ContainsAny(strings.TrimSpace(cmd), " \t") && len(c.find(cmd)) == 0 && c.env.Executables != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(cmd), " ")
		f := c.add("KC107", who, x.Command.Place, "the command is a whole command line: a client looks for a program of that name, blanks and all")
		f.Details = []string{"the command is " + first + ", the rest belongs into args, one entry a word"}
		f.Fix = finding.Fix{Summary: "write command: " + first + " and the rest as args"}
		return
	case hasSeparator && !filepath.IsAbs(cmd) && !isWindowsAbs(cmd):
		resolved := c.path(cmd)
		f := c.add("KC108", who, x.Command.Place, "the command is a relative path: kubectl looks for it beside the kubeconfig, at %s, and other clients in the working directory", resolved)
		f.Where.Text = c.text("command", x.Command)
		f.Fix = finding.Fix{Summary: "write the absolute path, or the bare name of a program in PATH"}
		if c.env.Executables != nil && len(c.find(resolved)) == 0 {
			c.missing = append(c.missing, missingCommand{cmd, "at " + resolved, strings.TrimPrefix(who, "user "), x.Command, hint, plugin.Name})
		}
		return
	}
	if c.env.Executables == nil {
		return
	}
	found := c.find(cmd)
	if len(found) > 0 {
		return
	}
	searched := "in PATH: " + c.env.Getenv("PATH")
	if hasSeparator {
		searched = "there"
	}
	c.missing = append(c.missing, missingCommand{cmd, searched, strings.TrimPrefix(who, "user "), x.Command, hint, plugin.Name})
}

// isWindowsAbs tells a path with a drive letter.
func isWindowsAbs(p string) bool { return len(p) > 2 && p[1] == ':' && (p[2] == '\\' || p[2] == '/') }

// find looks a command up, once a run.
func (c *checker) find(command string) []string {
	if c.env.Executables == nil {
		return nil
	}
	found, ok := c.programs[command]
	if !ok {
		found = c.env.Executables(command)
		c.programs[command] = found
	}
	return found
}

// missingCommands says, once a command, who needs it and how to get it.
func (c *checker) missingCommands() {
	byCommand := map[string][]string{}
	for _, m := range c.missing {
		byCommand[m.command] = append(byCommand[m.command], m.user)
	}
	for _, m := range c.missing {
		users := byCommand[m.command]
		if users == nil {
			continue
		}
		byCommand[m.command] = nil
		f := c.add("KC107", usersSubject(users), m.at.Place, "the plugin %s is not found", quoted(m.command))
		f.Where.Text = c.text("command", m.at)
		f.Details = []string{"looked for it " + m.searched}
		if strings.HasPrefix(m.searched, "in PATH") {
			f.Details = append(f.Details, "a program with a window, a service, cron or CI may have another PATH than your shell")
		}
		f.Fix = finding.Fix{Summary: "install it, or write its absolute path as command"}
		if m.hint != "" {
			f.Fix.Summary = m.hint
		}
		f.Evidence["command"] = m.command
		f.Evidence["users"] = anyList(users)
	}
	c.missing = nil
}

// allowed holds a command against kubectl's policy for plugins.
func (c *checker) allowed(u User, who string) {
	if cmd := u.Exec.Command; cmd.Value != "" && !c.env.Policy.Allows(cmd.Value, c.find) {
		c.refused = append(c.refused, missingCommand{command: cmd.Value, user: strings.TrimPrefix(who, "user "), at: cmd})
	}
}

// refusedCommands says, once a command, that kubectl will not run it.
func (c *checker) refusedCommands() {
	byCommand := map[string][]string{}
	for _, m := range c.refused {
		byCommand[m.command] = append(byCommand[m.command], m.user)
	}
	for _, m := range c.refused {
		users := byCommand[m.command]
		if users == nil {
			continue
		}
		byCommand[m.command] = nil
		f := c.add("KC143", usersSubject(users), m.at.Place, "kubectl 1.35 and newer refuse to run %s: %s sets credentialPluginPolicy: %s", quoted(m.command), c.env.Policy.File, c.env.Policy.Type)
		f.Where.Text = c.text("command", m.at)
		f.Fix = finding.Fix{Summary: fmt.Sprintf("add it to credentialPluginAllowlist there: - name: %s (kubectl 1.35) or - command: %s (from 1.36 on)", m.command, m.command)}
	}
	c.refused = nil
}

// known judges what is special to a plugin.
func (c *checker) known(u User, who string, plugin Plugin, known bool) {
	switch base := commandBase(u.Exec.Command.Value); {
	case known && plugin.Name == "aws eks get-token":
		c.aws(u, who)
	case known && plugin.Name == "aws-iam-authenticator":
		c.iamAuthenticator(u, who)
	case base == "kubelogin":
		c.kubelogin(u, who, plugin, known)
	case base == "aws":
		f := c.add("KC109", who, u.Exec.Place, "aws is run without 'eks get-token', so it prints no credential")
		f.Fix = finding.Fix{Summary: "let aws eks update-kubeconfig write the entry again"}
	}
	c.shell(u, who)
	c.deviceCode(u, who)
	c.clusterOf(u, who)
}

// shells are the programs that run a line of text.
var shells = []string{"sh", "bash", "zsh", "dash", "ash", "fish", "ksh", "cmd", "powershell", "pwsh"}

// shell finds plugins that run within a shell, whose profile may print something.
func (c *checker) shell(u User, who string) {
	if !slices.Contains(shells, commandBase(u.Exec.Command.Value)) {
		return
	}
	f := c.add("KC111", who, u.Exec.Command.Place, "the plugin is run by a shell: a banner or any other line that the shell or its profile prints stands before the credential on stdout, and breaks it")
	f.Severity = finding.Info
	f.Where.Text = c.text("command", u.Exec.Command)
	f.Details = []string{"a client then says: decoding stdout: couldn't get version/kind; json parse error"}
	f.Fix = finding.Fix{Summary: "name the plugin itself as command, or send everything else to stderr"}
}

// flag returns the value of the first of the flags that is among the arguments,
// as "--flag value" or "--flag=value".
func flag(args []string, names ...string) (string, bool) {
	for i, a := range args {
		name, v, eq := strings.Cut(a, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if eq {
			return v, true
		}
		if i+1 < len(args) {
			return args[i+1], true
		}
		return "", true
	}
	return "", false
}

// envValue is a variable as the plugin will see it: exec.env over the client's own.
func (c *checker) envValue(x *Exec, name string) string {
	for i := len(x.Env) - 1; i >= 0; i-- {
		if x.Env[i].Name.Value == name {
			return x.Env[i].Value.Value
		}
	}
	if c.env.Getenv == nil {
		return ""
	}
	return c.env.Getenv(name)
}

// kubelogin tells the two programs of that name apart.
func (c *checker) kubelogin(u User, who string, plugin Plugin, known bool) {
	args := u.Exec.ArgValues()
	other := "int128/kubelogin, for OIDC, which answers: unknown flag"
	kind := "Azure's"
	switch {
	case known && strings.Contains(plugin.Name, "int128"):
		kind, other = "those of int128/kubelogin, for OIDC", "Azure/kubelogin, which answers: unknown flag"
	case known:
		kind = "those of Azure/kubelogin"
	default:
		return
	}
	f := c.add("KC118", who, u.Exec.Command.Place, "two programs are named kubelogin; the arguments here are %s", kind)
	f.Where.Text = c.text("command", u.Exec.Command)
	f.Details = []string{"the other one is " + other}
	if found := c.find(u.Exec.Command.Value); len(found) > 0 {
		f.Details = append(f.Details, "the one that runs here is "+found[0])
	}
	f.Fix = finding.Fix{Summary: "see that it is the right one; where both are installed, write the absolute path as command"}
	if slices.Contains(args, "get-token") {
		f.Evidence["plugin"] = plugin.Name
	}
}

// deviceCode finds logins that want a person with a browser.
func (c *checker) deviceCode(u User, who string) {
	args := u.Exec.ArgValues()
	login, ok := flag(args, "--login", "-l")
	grant, _ := flag(args, "--grant-type")
	device := ok && login == "devicecode" || grant == "device-code"
	if !device {
		return
	}
	if c.envValue(u.Exec, "AAD_LOGIN_METHOD") != "" && commandBase(u.Exec.Command.Value) == "kubelogin" && grant == "" {
		return
	}
	f := c.add("KC110", who, u.Exec.Place, "device code login: it waits for a person with a browser, so it hangs or fails in CI, cron and pipelines")
	if u.Exec.InteractiveMode.Value == "Never" {
		f.Severity = finding.Error
		f.Message = "device code login with interactiveMode Never: the plugin can't ask anybody"
	}
	f.Details = []string{"for machines there are workload identity, a service principal, a managed identity or the cloud's own CLI login"}
	f.Fix = finding.Fix{Summary: "for machines, another login method"}
	if p, ok := PluginOf(u.Exec.Command.Value, args); ok && strings.Contains(p.Name, "Azure") {
		f.Fix = finding.Fix{Summary: "or spn, msi, azurecli", Command: "kubelogin convert-kubeconfig -l workloadidentity"}
	}
}

// execSecrets finds secrets that stand in the open in exec.env and args.
func (c *checker) execSecrets(u User, who string) {
	for _, v := range u.Exec.Env {
		if v.Value.Value == "" || !isSecretName(v.Name.Value) && !looksSecret(v.Value.Value) {
			continue
		}
		f := c.add("KC138", who, v.Value.Place, "a secret stands in exec.env, in the variable %s", v.Name.Value)
		f.Fix = finding.Fix{Summary: "let the plugin find it elsewhere (a profile, a keychain, a file of its own), and change the secret"}
		f.Evidence["variable"] = v.Name.Value
	}
	for _, s := range argSecrets(u.Exec) {
		f := c.add("KC138", who, s.arg.Place, "a secret stands in args, in %s: every process list shows it", s.name)
		f.Fix = finding.Fix{Summary: "let the plugin find it elsewhere (an environment variable, a file of its own), and change the secret"}
		f.Evidence["argument"] = s.name
	}
}

// clusterOf compares the cluster that the arguments name with the one that the
// user's contexts use, as far as its name is an EKS ARN.
func (c *checker) clusterOf(u User, who string) {
	args := u.Exec.ArgValues()
	name, ok := flag(args, "--cluster-name", "-i", "--cluster-id")
	if !ok || name == "" {
		return
	}
	if u.Name.Value == "" {
		return
	}
	for _, ctx := range c.contextsOf(u.Name.Value) {
		arn, cluster, found := strings.Cut(ctx.Cluster.Value, ":cluster/")
		if !found || !strings.HasPrefix(arn, "arn:") || cluster == name {
			continue
		}
		if _, outpost := flag(args, "--cluster-id"); outpost {
			continue
		}
		f := c.add("KC116", who, u.Exec.Place, "the plugin makes tokens for the cluster %s, and context %s shows them to %s, which answers 401 Unauthorized", quoted(name), quoted(ctx.Name.Value), cluster)
		f.Fix = finding.Fix{Summary: fmt.Sprintf("let both name one cluster: --cluster-name %s", cluster)}
		return
	}
}

// contextsOf returns the contexts of the file at hand that use a user.
func (c *checker) contextsOf(user string) []Context {
	if c.byUserOf != c.f {
		c.byUserOf, c.byUser = c.f, map[string][]Context{}
		for _, ctx := range c.f.Contexts {
			c.byUser[ctx.User.Value] = append(c.byUser[ctx.User.Value], ctx)
		}
	}
	return c.byUser[user]
}

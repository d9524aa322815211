package kubeconfig

import (
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// index is where a client finds each name: in the first file that defines it.
type index map[string]entryAt

type entryAt struct {
	file *File
	Place
}

// clusters judges the clusters of the file at hand.
func (c *checker) clusters() {
	c.names("cluster", "clusters")
	for i, cl := range c.f.Clusters {
		who := subject("cluster", "clusters", i, cl.Name)
		c.entry(who, "cluster", cl.Name, cl.Place, cl.node, cl.body)
		if cl.body == nil || typeOf(cl.body) != typeObject {
			continue
		}
		c.server(cl, who)
		c.trust(cl, who)
	}
}

// entry finds list entries that are not whole.
func (c *checker) entry(who, kind string, name Scalar, at Place, n, body *yaml.Node) {
	if typeOf(n) != typeObject {
		return // the type check names it, null aside
	}
	if name.Value == "" && (!name.Set() || typeOf(name.node) == typeNull || typeOf(name.node) == typeString) {
		f := c.add("KC122", who, nodePlace(name.node, at), "the %s entry has no name", kind)
		f.Details = []string{"the file may have been cut off here; the AWS CLI stops at such a file and says only 'name'"}
		f.Fix = finding.Fix{Summary: "give it a name, or delete the entry"}
	}
	if body == nil || typeOf(body) == typeNull {
		f := c.add("KC122", who, nodePlace(body, at), "the entry has no %s block", kind)
		f.Fix = finding.Fix{Summary: "write " + kind + ": and its settings below the name, indented one step more"}
	}
}

func (c *checker) server(cl Cluster, who string) {
	s := cl.Server.Value
	if s == "" {
		if cl.Server.Set() && typeOf(cl.Server.node) != typeString && typeOf(cl.Server.node) != typeNull {
			return
		}
		f := c.add("KC141", who, nodePlace(cl.Server.node, cl.Place), "no server: clients fall back to http://localhost:8080, or refuse it")
		f.Details = []string{"a client says: cluster has no server defined, or: no server found for cluster " + quote(cl.Name.Value)}
		f.Fix = finding.Fix{Summary: "write server: https://HOST:PORT"}
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		f := c.add("KC141", who, cl.Server.Place, "the server is no URL")
		f.Fix = finding.Fix{Summary: "write server: https://HOST:PORT"}
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"):
	case u.Scheme == "http":
		f := c.add("KC141", who, cl.Server.Place, "the server's address begins with http://, so tokens would travel in the open; client-go sends none there")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "write https://"}
	case u.Scheme != "https" && strings.Contains(s, "://"):
		f := c.add("KC141", who, cl.Server.Place, "the server's address begins with %s://, where clients know https", u.Scheme)
		f.Fix = finding.Fix{Summary: "write https://"}
	case strings.ContainsAny(s, "<>{}$ "):
		f := c.add("KC141", who, cl.Server.Place, "the server's address holds a placeholder that nobody filled in")
		f.Fix = finding.Fix{Summary: "write the real address"}
	}
}

// trust judges how the server is recognised.
func (c *checker) trust(cl Cluster, who string) {
	if cl.Insecure.Value == "true" {
		f := c.add("KC136", who, cl.Insecure.Place, "insecure-skip-tls-verify: any server may take the credential that is sent here")
		f.Where.Text = c.text("insecure-skip-tls-verify", cl.Insecure)
		f.Fix = finding.Fix{Summary: "give certificate-authority-data instead"}
		if cl.CA.Value != "" || cl.CAData.Value != "" {
			f.Severity = finding.Error
			f.Message = "insecure-skip-tls-verify and a certificate authority at once, which clients refuse"
			f.Details = []string{"a client says: specifying a root certificates file with the insecure flag is not allowed"}
			f.Fix = finding.Fix{Summary: "take insecure-skip-tls-verify away"}
		}
	}
	c.authority(cl, who)
}

// contexts judges the contexts of the file at hand, against all files.
func (c *checker) contexts() {
	c.names("context", "contexts")
	clusters, users, contexts := c.index("clusters"), c.index("users"), c.index("contexts")
	shared := map[[2]string]int{}
	for i, ctx := range c.f.Contexts {
		who := subject("context", "contexts", i, ctx.Name)
		c.entry(who, "context", ctx.Name, ctx.Place, ctx.node, ctx.body)
		if ctx.body == nil || typeOf(ctx.body) != typeObject {
			continue
		}
		c.reference(who, ctx, "cluster", ctx.Cluster, clusters, clusterNames)
		c.reference(who, ctx, "user", ctx.User, users, userNames)
		c.namespace(who, ctx)
		c.sharedUser(who, i, ctx, shared)
	}
	if name := c.f.CurrentContext; name.Value != "" {
		if _, ok := contexts[name.Value]; !ok {
			f := c.add("KC121", "current-context", name.Place, "no context %s in any of the files", quoted(name.Value))
			f.Where.Text = c.text("current-context", name)
			f.Details = []string{"a client says: context was not found for specified context: " + name.Value}
			f.Fix = c.useContext(contexts)
		}
	}
}

func (c *checker) useContext(contexts index) finding.Fix {
	for _, f := range c.files {
		for _, ctx := range f.Contexts {
			if _, ok := contexts[ctx.Name.Value]; ok && ctx.Name.Value != "" {
				return finding.Fix{Summary: "or another one", Command: "kubectl config use-context " + ShellQuote(ctx.Name.Value)}
			}
		}
	}
	return finding.Fix{Summary: "take it away", Command: "kubectl config unset current-context"}
}

// reference: a context names a cluster and a user that must be somewhere.
func (c *checker) reference(who string, ctx Context, kind string, name Scalar, have index, names func([]*File) []string) {
	if name.Value == "" {
		if name.Set() && typeOf(name.node) != typeString && typeOf(name.node) != typeNull {
			return
		}
		f := c.add("KC122", who, nodePlace(name.node, ctx.Place), "the context names no %s", kind)
		f.Details = []string{"a client says: " + kind + " was not specified for context " + quote(ctx.Name.Value)}
		f.Fix = finding.Fix{Summary: "write " + kind + ": NAME"}
		return
	}
	if _, ok := have[name.Value]; ok {
		return
	}
	f := c.add("KC121", who, name.Place, "the %s %s is in none of the files", kind, quoted(name.Value))
	f.Where.Text = c.text(kind, name)
	f.Details = []string{"a client says: " + kind + " " + quote(name.Value) + " was not found for context " + quote(ctx.Name.Value)}
	f.Fix = finding.Fix{Summary: "give the file that defines it as well, or delete the context"}
	if len(have) > 500 {
		return
	}
	if near := nearest(name.Value, names(c.files)); near != "" {
		f.Fix = finding.Fix{Summary: "is " + near + " meant?"}
	}
}

// clusterNames lists the names of the clusters that files define.
func clusterNames(files []*File) []string {
	var out []string
	for _, f := range files {
		for _, e := range f.Clusters {
			out = append(out, e.Name.Value)
		}
	}
	return out
}

// userNames lists the names of the users that files define.
func userNames(files []*File) []string {
	var out []string
	for _, f := range files {
		for _, e := range f.Users {
			out = append(out, e.Name.Value)
		}
	}
	return out
}

var dnsLabel = lazyexp.New(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (c *checker) namespace(who string, ctx Context) {
	if n := ctx.Namespace; n.Value != "" && !dnsLabel().MatchString(n.Value) {
		f := c.add("KC122", who, n.Place, "the namespace %s is no name that Kubernetes allows", quoted(n.Value))
		f.Details = []string{"a client says: namespace " + quote(n.Value) + " for context " + quote(ctx.Name.Value) + " does not conform to the kubernetes DNS_LABEL rules"}
		f.Fix = finding.Fix{Summary: "small letters, digits and dashes, at most 63"}
	}
}

// sharedUser finds contexts that differ in name only.
func (c *checker) sharedUser(who string, i int, ctx Context, shared map[[2]string]int) {
	if ctx.Cluster.Value == "" || ctx.User.Value == "" {
		return
	}
	key := [2]string{ctx.Cluster.Value, ctx.User.Value}
	first, ok := shared[key]
	if !ok {
		shared[key] = i
		return
	}
	other := c.f.Contexts[first]
	if other.Namespace.Value != ctx.Namespace.Value || other.Name.Value == ctx.Name.Value {
		return
	}
	f := c.add("KC115", who, ctx.Place, "the same cluster and the same user entry as context %s: both act with one identity and one role", quoted(other.Name.Value))
	f.Details = []string{"aws eks update-kubeconfig names the user after the cluster, so a second role overwrites the first one's user entry"}
	f.Fix = finding.Fix{Summary: "give each role a user entry of its own (kubecred kubeconfig update does)"}
}

// ShellQuote writes a word so that a POSIX shell reads it as it is.
func ShellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

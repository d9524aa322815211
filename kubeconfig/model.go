package kubeconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place is where something stands in a file. Lines and columns count from 1,
// columns in characters.
type Place struct{ Line, Column int }

func place(n *yaml.Node) Place {
	if n == nil {
		return Place{}
	}
	return Place{n.Line, n.Column}
}

// Scalar is a text with its place. Value is "" where the file has no such text,
// or where it has something of another type.
type Scalar struct {
	Value string
	Place
	node *yaml.Node // nil where the key is missing
}

// Set tells whether the key is there, whatever its value.
func (s Scalar) Set() bool { return s.node != nil }

// Cluster is an entry of the list clusters.
type Cluster struct {
	Name Scalar
	// Place is that of the entry.
	Place
	Server, CA, CAData, TLSServerName, ProxyURL Scalar
	Insecure                                    Scalar // "true" or "false"
	node, body                                  *yaml.Node
}

// Context is an entry of the list contexts.
type Context struct {
	Name Scalar
	Place
	Cluster, User, Namespace Scalar
	node, body               *yaml.Node
}

// User is an entry of the list users.
type User struct {
	Name Scalar
	Place
	Token, TokenFile, Username, Password Scalar
	Cert, CertData, Key, KeyData         Scalar
	AuthProvider                         Scalar // its name
	Exec                                 *Exec
	node, body, authProvider             *yaml.Node
}

// Exec is a user's exec block.
type Exec struct {
	Place
	Command, APIVersion, InteractiveMode, InstallHint Scalar
	Args                                              []Scalar
	Env                                               []EnvVar
	node                                              *yaml.Node
}

// EnvVar is an entry of exec.env.
type EnvVar struct{ Name, Value Scalar }

// Version is the last part of the exec block's apiVersion where it is of the
// group client.authentication.k8s.io, and "" otherwise.
func (e *Exec) Version() string {
	v, ok := strings.CutPrefix(e.APIVersion.Value, execGroup)
	if !ok {
		return ""
	}
	return v
}

const execGroup = "client.authentication.k8s.io/"

// ArgValues are the arguments as texts.
func (e *Exec) ArgValues() []string {
	out := make([]string, len(e.Args))
	for i, a := range e.Args {
		out[i] = a.Value
	}
	return out
}

// fields is a mapping ready to be asked for keys.
type fields struct {
	list  []pair
	byKey map[string]*yaml.Node
}

func newFields(n *yaml.Node) fields {
	f := fields{list: pairs(n)}
	if len(f.list) > smallMapping {
		f.byKey = make(map[string]*yaml.Node, len(f.list))
		for _, p := range f.list {
			f.byKey[p.name] = p.value
		}
	}
	return f
}

func (f fields) node(name string) *yaml.Node {
	if f.byKey != nil {
		return f.byKey[name]
	}
	for _, p := range f.list {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

func (f fields) scalar(name string) Scalar { return newScalar(f.node(name)) }

func newScalar(n *yaml.Node) Scalar {
	if n == nil {
		return Scalar{}
	}
	s := Scalar{Place: place(n), node: n}
	if r := follow(n); r.Kind == yaml.ScalarNode {
		switch t, _ := scalarValue(r); t {
		case typeString:
			s.Value = r.Value
		case typeBool:
			s.Value = "false"
			if boolWords[r.Value] {
				s.Value = "true"
			}
		}
	}
	return s
}

// text is a scalar only where it is a text for a client too.
func (f fields) text(name string) Scalar {
	s := f.scalar(name)
	if s.node != nil && typeOf(s.node) != typeString {
		s.Value = ""
	}
	return s
}

func (f *File) model() {
	root := newFields(f.root)
	f.APIVersion, f.Kind, f.CurrentContext = root.text("apiVersion"), root.text("kind"), root.text("current-context")
	for _, n := range entries(root.node("clusters")) {
		f.Clusters = append(f.Clusters, newCluster(n))
	}
	for _, n := range entries(root.node("contexts")) {
		f.Contexts = append(f.Contexts, newContext(n))
	}
	for _, n := range entries(root.node("users")) {
		f.Users = append(f.Users, newUser(n))
	}
}

func entries(list *yaml.Node) []*yaml.Node {
	if list == nil {
		return nil
	}
	if list = follow(list); list.Kind == yaml.SequenceNode {
		return list.Content
	}
	return nil
}

func newCluster(n *yaml.Node) Cluster {
	e := newFields(n)
	c := Cluster{Name: e.text("name"), Place: place(n), node: n, body: e.node("cluster")}
	if c.body != nil {
		b := newFields(c.body)
		c.Server, c.CA, c.CAData = b.text("server"), b.text("certificate-authority"), b.text("certificate-authority-data")
		c.TLSServerName, c.ProxyURL = b.text("tls-server-name"), b.text("proxy-url")
		c.Insecure = b.scalar("insecure-skip-tls-verify")
	}
	return c
}

func newContext(n *yaml.Node) Context {
	e := newFields(n)
	c := Context{Name: e.text("name"), Place: place(n), node: n, body: e.node("context")}
	if c.body != nil {
		b := newFields(c.body)
		c.Cluster, c.User, c.Namespace = b.text("cluster"), b.text("user"), b.text("namespace")
	}
	return c
}

func newUser(n *yaml.Node) User {
	e := newFields(n)
	u := User{Name: e.text("name"), Place: place(n), node: n, body: e.node("user")}
	if u.body == nil {
		return u
	}
	b := newFields(u.body)
	u.Token, u.TokenFile = b.text("token"), b.text("tokenFile")
	u.Username, u.Password = b.text("username"), b.text("password")
	u.Cert, u.CertData = b.text("client-certificate"), b.text("client-certificate-data")
	u.Key, u.KeyData = b.text("client-key"), b.text("client-key-data")
	if p := b.node("auth-provider"); p != nil && typeOf(p) == typeObject {
		u.authProvider = follow(p)
		u.AuthProvider = newFields(p).text("name")
		u.AuthProvider.node = p
	}
	if x := b.node("exec"); x != nil && typeOf(x) == typeObject {
		u.Exec = newExec(x)
	}
	return u
}

func newExec(n *yaml.Node) *Exec {
	b := newFields(n)
	x := &Exec{
		Place: place(n), node: follow(n),
		Command: b.text("command"), APIVersion: b.text("apiVersion"),
		InteractiveMode: b.text("interactiveMode"), InstallHint: b.text("installHint"),
	}
	for _, a := range entries(b.node("args")) {
		s := newScalar(a)
		if typeOf(a) != typeString {
			s.Value = ""
		}
		x.Args = append(x.Args, s)
	}
	for _, v := range entries(b.node("env")) {
		e := newFields(v)
		x.Env = append(x.Env, EnvVar{e.text("name"), e.text("value")})
	}
	return x
}

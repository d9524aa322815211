package explain

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// where returns the place of a node in the text.
func (d *document) where(n *yaml.Node) finding.Where {
	i := min(max(d.line+n.Line-1, 0), len(d.s.t.Lines)-1)
	col := n.Column
	if !d.json || n.Line == 1 {
		col += d.column
	}
	w := d.s.t.where(i, 0)
	w.Column = max(col, 1)
	return w
}

// get returns the value of a key of a mapping, nil where there is none.
func get(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
				break
			}
		}
		if next != nil && next.Kind == yaml.AliasNode {
			next = next.Alias
		}
		n = next
	}
	return n
}

func str(n *yaml.Node, keys ...string) string {
	if v := get(n, keys...); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

func hasAny(n *yaml.Node, keys ...string) bool {
	for _, k := range keys {
		if get(n, k) != nil {
			return true
		}
	}
	return false
}

func items(n *yaml.Node) []*yaml.Node {
	if n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}

// document looks at every mapping of a document for shapes that it knows.
func (e *evidence) document(d *document) { e.walk(d, d.root, 0) }

func (e *evidence) walk(d *document, n *yaml.Node, depth int) {
	if n == nil || depth > maxDepth || n.Kind == yaml.AliasNode {
		return
	}
	if n.Kind == yaml.MappingNode && e.shape(d, n) {
		return
	}
	for _, c := range n.Content {
		e.walk(d, c, depth+1)
	}
}

// shapes are the recognisers of mappings. The first that knows a mapping has
// it; it returns true where nothing below is to be looked at again.
func shapes() []func(*evidence, *document, *yaml.Node) (known, done bool) {
	return []func(*evidence, *document, *yaml.Node) (known, done bool){
		(*evidence).kubeconfigShape, (*evidence).execCredentialShape, (*evidence).providerConfigShape,
		(*evidence).providerShape, (*evidence).providerResponseShape, (*evidence).awsAuthShape,
		(*evidence).authenticatorConfigShape, (*evidence).mappingShape, (*evidence).iamMappingShape, (*evidence).accessEntryShape,
		(*evidence).auditShape, (*evidence).tokenReviewShape, (*evidence).dockerConfigShape,
		(*evidence).eventShape, (*evidence).gkeCacheShape, (*evidence).claimsShape,
		(*evidence).statusShape, (*evidence).callerShape, (*evidence).kubeletConfigShape, (*evidence).workloadShape,
		(*evidence).policyShape, (*evidence).execShape, (*evidence).kubercShape,
		(*evidence).awsCredentialsShape, (*evidence).roleShape, (*evidence).serviceAccountShape,
	}
}

func (e *evidence) shape(d *document, n *yaml.Node) bool {
	for _, f := range shapes() {
		if known, done := f(e, d, n); known {
			return done
		}
	}
	return false
}

func (e *evidence) kubeconfigShape(d *document, n *yaml.Node) (bool, bool) {
	known := 0
	for _, k := range []string{"clusters", "contexts", "users", "current-context"} {
		if get(n, k) != nil {
			known++
		}
	}
	if known == 0 || known < 2 && str(n, "kind") != "Config" && !hasAny(n, "users", "contexts") {
		return false, false
	}
	if v := get(n, "users"); known == 1 && v != nil && get(first(items(v)), "user") == nil {
		return false, false
	}
	users, contexts := len(items(get(n, "users"))), len(items(get(n, "contexts")))
	e.piece(Piece{Kind: "kubeconfig", Road: finding.Client, Where: d.where(n), Summary: count(users, "user") + ", " + count(contexts, "context")})
	e.add("kubeconfig", count(users, "user"), d.where(n))
	if v := get(n, "apiVersion"); v != nil {
		e.add("kubeconfig.apiVersion", v.Value, d.where(v))
	}
	for _, c := range items(get(n, "clusters")) {
		if s := get(c, "cluster", "server"); s != nil {
			e.add("cluster.server", Redacted(s.Value), d.where(s))
		}
	}
	for _, u := range items(get(n, "users")) {
		e.user(d, str(u, "name"), get(u, "user"))
	}
	e.checkKubeconfig(d, n)
	return true, true
}

func first(list []*yaml.Node) *yaml.Node {
	if len(list) > 0 {
		return list[0]
	}
	return nil
}

func (e *evidence) user(d *document, name string, u *yaml.Node) {
	if u == nil {
		return
	}
	if x := get(u, "exec"); x != nil {
		e.exec(d, x)
	}
	for _, k := range []string{"token", "tokenFile", "username", "client-certificate", "client-certificate-data"} {
		if v := get(u, k); v != nil && v.Value != "" {
			value := "set"
			if k == "tokenFile" {
				value = v.Value
			}
			e.add("user."+k, value, d.where(v))
			if k == "token" {
				e.tokens(d.s, v.Value, d.where(v))
			}
		}
	}
	if p := get(u, "auth-provider", "name"); p != nil {
		e.add("user.authProvider", p.Value, d.where(p))
	}
	if p := get(u, "auth-provider", "config"); p != nil {
		for i := 0; i+1 < len(p.Content); i += 2 {
			switch k := p.Content[i].Value; k {
			case "apiserver-id", "client-id", "tenant-id", "idp-issuer-url", "cmd-path", "expiry":
				e.add("authProvider."+k, p.Content[i+1].Value, d.where(p.Content[i+1]))
			}
		}
	}
}

// exec reads an exec block.
func (e *evidence) exec(d *document, x *yaml.Node) {
	for _, k := range []string{"apiVersion", "command", "interactiveMode", "provideClusterInfo"} {
		if v := get(x, k); v != nil && v.Kind == yaml.ScalarNode {
			e.add("exec."+k, v.Value, d.where(v))
		}
	}
	if v := get(x, "command"); v != nil {
		e.add("exec.program", baseName(v.Value), d.where(v))
	}
	var args []string
	for _, a := range items(get(x, "args")) {
		args = append(args, a.Value)
	}
	if len(args) > 0 {
		e.add("exec.args", Redacted(strings.Join(args, " ")), d.where(get(x, "args")))
	}
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		if strings.HasPrefix(name, "-") {
			if !joined && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				value = args[i+1]
			}
			if secretFlag().MatchString(name) {
				value = "set"
			}
			e.add("exec.arg."+strings.TrimLeft(name, "-"), cmpOr(Redacted(value), "true"), d.where(get(x, "args").Content[i]))
		}
	}
	if !slices.ContainsFunc(args, func(a string) bool { return a == "--output" || strings.HasPrefix(a, "--output=") }) && len(args) > 0 {
		e.add("exec.noOutputFlag", "true", d.where(get(x, "args")))
	}
	if !slices.ContainsFunc(args, func(a string) bool { return a == "--region" || strings.HasPrefix(a, "--region=") }) && len(args) > 0 {
		e.add("exec.noRegionFlag", "true", d.where(get(x, "args")))
	}
	for _, v := range items(get(x, "env")) {
		e.env(str(v, "name"), str(v, "value"), d.where(v))
	}
	if v := get(x, "apiVersion"); v == nil {
		e.add("exec.noApiVersion", "true", d.where(x))
	}
	if str(x, "apiVersion") == "client.authentication.k8s.io/v1" && get(x, "command") != nil && get(x, "interactiveMode") == nil {
		e.add("exec.noInteractiveMode", "true", d.where(x))
	}
	e.piece(Piece{Kind: "exec plugin entry", Road: finding.Client, Where: d.where(x), Summary: strings.TrimSpace(str(x, "command") + " " + strings.TrimPrefix(str(x, "apiVersion"), "client.authentication.k8s.io/"))})
}

func baseName(s string) string {
	s = strings.ReplaceAll(s, `\`, "/")
	s = s[strings.LastIndexByte(s, '/')+1:]
	return strings.TrimSuffix(strings.TrimSuffix(s, ".exe"), ".cmd")
}

func (e *evidence) execShape(d *document, n *yaml.Node) (bool, bool) {
	if x := get(n, "exec"); x != nil && x.Kind == yaml.MappingNode && hasAny(x, "command", "apiVersion") && (get(x, "args") != nil || strings.HasPrefix(str(x, "apiVersion"), "client.authentication")) {
		e.exec(d, x)
		return true, true
	}
	if strings.HasPrefix(str(n, "apiVersion"), "client.authentication.k8s.io/") && get(n, "command") != nil {
		e.exec(d, n)
		return true, true
	}
	if u := get(n, "user"); u != nil && u.Kind == yaml.MappingNode && hasAny(u, "exec", "auth-provider", "tokenFile") {
		e.user(d, str(n, "name"), u)
		return true, true
	}
	if hasAny(n, "auth-provider") && n.Kind == yaml.MappingNode {
		e.user(d, "", n)
		return true, true
	}
	return false, false
}

func (e *evidence) execCredentialShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "kind") != "ExecCredential" && !(strings.HasPrefix(str(n, "apiVersion"), "client.authentication.k8s.io/") && hasAny(n, "status")) {
		return false, false
	}
	w := d.where(n)
	v := str(n, "apiVersion")
	e.add("execcred.apiVersion", cmpOr(v, "(none)"), w)
	st := get(n, "status")
	token, cert, key, exp := str(st, "token"), str(st, "clientCertificateData"), str(st, "clientKeyData"), str(st, "expirationTimestamp")
	switch {
	case st == nil || st.Kind != yaml.MappingNode:
		if get(n, "spec", "cluster") == nil && get(n, "spec", "interactive") == nil {
			e.add("execcred.noStatus", "true", w)
		}
	case token == "" && cert == "" && key == "":
		e.add("execcred.empty", "true", d.where(st))
	case (cert == "") != (key == ""):
		e.add("execcred.half", "true", d.where(st))
	}
	if token != "" {
		e.tokens(d.s, token, d.where(get(st, "token")))
		if exp == "" {
			e.add("execcred.noExpiry", "token without expirationTimestamp", d.where(st))
		}
	}
	if exp != "" {
		e.add("execcred.expires", exp, d.where(get(st, "expirationTimestamp")))
	}
	if d.source != "" && n == d.root {
		e.inspectLater(d.source, w)
	}
	e.piece(Piece{Kind: "ExecCredential", Road: finding.Client, Where: w, Summary: strings.TrimPrefix(v, "client.authentication.k8s.io/")})
	return true, true
}

func (e *evidence) gkeCacheShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "current_context") == nil || !hasAny(n, "access_token", "token_expiry") {
		return false, false
	}
	e.piece(Piece{Kind: "cache of gke-gcloud-auth-plugin", Road: finding.Client, Where: d.where(n), Summary: str(n, "current_context")})
	e.add("gkecache", str(n, "current_context"), d.where(n))
	e.add("gkecache.expiry", str(n, "token_expiry"), d.where(n))
	if str(n, "extra_args") == "" {
		e.add("gkecache.noArgs", "true", d.where(n))
	}
	return true, true
}

// callerShape knows what 'aws sts get-caller-identity' prints.
func (e *evidence) callerShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "UserId") == nil || get(n, "Arn") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "caller identity", Road: finding.Server, Where: d.where(n), Summary: str(n, "Arn")})
	e.arn(str(n, "Arn"), d.where(get(n, "Arn")))
	e.add("caller.arn", str(n, "Arn"), d.where(get(n, "Arn")))
	return true, true
}

package explain

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

func (e *evidence) awsAuthShape(d *document, n *yaml.Node) (bool, bool) {
	data := n
	if v := get(n, "data"); v != nil {
		data = v
	}
	maps := 0
	for _, k := range []string{"mapRoles", "mapUsers", "mapAccounts"} {
		if v := get(data, k); v != nil {
			if v.Kind == yaml.ScalarNode || data != n {
				maps++
			}
		}
	}
	if maps == 0 {
		return false, false
	}
	name, ns := str(n, "metadata", "name"), str(n, "metadata", "namespace")
	e.piece(Piece{Kind: "aws-auth ConfigMap", Road: finding.Server, Where: d.where(n), Summary: strings.Trim(ns+"/"+name, "/")})
	e.add("awsauth", "true", d.where(n))
	if name != "" {
		e.add("awsauth.name", name, d.where(get(n, "metadata", "name")))
	}
	if ns != "" {
		e.add("awsauth.namespace", ns, d.where(get(n, "metadata", "namespace")))
	}
	for _, k := range []string{"mapRoles", "mapUsers", "mapAccounts"} {
		v := get(data, k)
		if v == nil {
			continue
		}
		if v.Kind != yaml.ScalarNode {
			e.add("awsauth.notString", k, d.where(v))
			e.mappings(d, v)
			continue
		}
		var inner yaml.Node
		if err := yaml.Unmarshal([]byte(v.Value), &inner); err != nil {
			e.add("awsauth.badYAML", k+": "+strings.TrimPrefix(err.Error(), "yaml: "), d.where(v))
			continue
		}
		if inner.Kind != yaml.DocumentNode || len(inner.Content) == 0 {
			continue
		}
		shift := v.Line
		if v.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			shift = v.Line - 1
		}
		sub := &document{s: d.s, root: inner.Content[0], line: d.line + shift, column: d.column}
		e.mappings(sub, inner.Content[0])
	}
	e.checkMappings(d, n)
	return true, true
}

// mappings reads a list of mapRoles or mapUsers.
func (e *evidence) mappings(d *document, list *yaml.Node) {
	for _, m := range items(list) {
		e.mapping(d, m)
	}
}

func (e *evidence) mapping(d *document, m *yaml.Node) {
	if m.Kind != yaml.MappingNode {
		return
	}
	e.add("mapping", "true", d.where(m))
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		if v.Kind == yaml.ScalarNode {
			e.add("mapping."+k.Value, v.Value, d.where(v))
		} else if k.Value == "username" {
			e.add("mapping.usernameNotString", "true", d.where(v))
		}
		for _, g := range items(v) {
			e.add("mapping.group", g.Value, d.where(g))
		}
	}
}

func (e *evidence) mappingShape(d *document, n *yaml.Node) (bool, bool) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch strings.ToLower(n.Content[i].Value) {
		case "rolearn", "userarn", "roleid":
			if hasAny(n, "username", "groups") {
				e.piece(Piece{Kind: "IAM mapping", Road: finding.Server, Where: d.where(n), Summary: n.Content[i+1].Value})
				e.mapping(d, n)
				return true, true
			}
		}
	}
	return false, false
}

// authenticatorConfigShape knows aws-iam-authenticator's own configuration.
func (e *evidence) authenticatorConfigShape(d *document, n *yaml.Node) (bool, bool) {
	s := get(n, "server")
	if get(n, "clusterID") == nil && (s == nil || s.Kind != yaml.MappingNode || !hasAny(s, "mapRoles", "mapUsers", "backendMode")) {
		return false, false
	}
	e.piece(Piece{Kind: "aws-iam-authenticator configuration", Road: finding.Server, Where: d.where(n), Summary: str(n, "clusterID")})
	e.add("authconfig", "true", d.where(n))
	e.add("authconfig.clusterID", str(n, "clusterID"), d.where(n))
	for _, k := range []string{"mapRoles", "mapUsers"} {
		for _, m := range items(get(s, k)) {
			e.mapping(d, m)
			for i := 0; i+1 < len(m.Content); i += 2 {
				if v := m.Content[i].Value; v == "rolearn" || v == "userarn" {
					e.add("authconfig.lowerKey", v, d.where(m.Content[i]))
				}
			}
		}
	}
	e.checkMappings(d, n)
	return true, true
}

func (e *evidence) iamMappingShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "kind") != "IAMIdentityMapping" {
		return false, false
	}
	e.piece(Piece{Kind: "IAMIdentityMapping", Road: finding.Server, Where: d.where(n), Summary: str(n, "spec", "arn")})
	e.add("iammapping", cmpOr(str(n, "spec", "arn"), "true"), d.where(n))
	e.checkMappings(d, n)
	e.arn(str(n, "spec", "arn"), d.where(n))
	return true, true
}

func (e *evidence) accessEntryShape(d *document, n *yaml.Node) (bool, bool) {
	x := n
	if v := get(n, "accessEntry"); v != nil {
		x = v
	}
	arn := str(x, "principalArn") + str(x, "principalARN") + str(x, "principal_arn")
	if arn == "" {
		return false, false
	}
	e.piece(Piece{Kind: "EKS access entry", Road: finding.Server, Where: d.where(n), Summary: arn})
	e.add("accessentry", arn, d.where(x))
	e.arn(arn, d.where(x))
	if t := get(x, "type"); t != nil {
		e.add("accessentry.type", t.Value, d.where(t))
	} else {
		e.add("accessentry.type", "STANDARD", d.where(x))
	}
	if v := get(x, "createdAt"); v != nil {
		e.add("accessentry.created", v.Value, d.where(v))
	}
	for _, g := range items(get(x, "kubernetesGroups")) {
		e.add("accessentry.group", g.Value, d.where(g))
	}
	if p := get(x, "associatedAccessPolicies"); p != nil && len(p.Content) > 0 || str(x, "policyArn") != "" {
		e.add("accessentry.policy", "true", d.where(x))
	}
	e.checkMappings(d, n)
	return true, true
}

func (e *evidence) tokenReviewShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "kind") != "TokenReview" {
		return false, false
	}
	e.piece(Piece{Kind: "TokenReview", Road: finding.Server, Where: d.where(n), Summary: str(n, "apiVersion")})
	e.add("tokenreview", cmpOr(str(n, "apiVersion"), "true"), d.where(n))
	if v := get(n, "status", "error"); v != nil && v.Value != "" {
		e.add("tokenreview.error", Redacted(v.Value), d.where(v))
	}
	if v := get(n, "status", "authenticated"); v != nil {
		e.add("tokenreview.authenticated", v.Value, d.where(v))
	}
	e.add("tokenreview.user", str(n, "status", "user", "username"), d.where(n))
	for _, a := range items(get(n, "status", "audiences")) {
		e.add("tokenreview.audience", a.Value, d.where(a))
	}
	for _, a := range items(get(n, "spec", "audiences")) {
		e.add("tokenreview.asked", a.Value, d.where(a))
	}
	if v := get(n, "spec", "token"); v != nil {
		e.tokens(d.s, v.Value, d.where(v))
	}
	return true, true
}

// policyShape knows IAM policies and trust policies.
func (e *evidence) policyShape(d *document, n *yaml.Node) (bool, bool) {
	list := get(n, "Statement")
	if list == nil {
		return false, false
	}
	statements := items(list)
	if list.Kind == yaml.MappingNode {
		statements = []*yaml.Node{list}
	}
	kind, road := "IAM policy", finding.Road("")
	for _, s := range statements {
		a := get(s, "Action")
		actions := items(a)
		if a != nil && a.Kind == yaml.ScalarNode {
			actions = []*yaml.Node{a}
		}
		for _, x := range actions {
			e.add("policy.action", x.Value, d.where(x))
			if strings.HasPrefix(x.Value, "sts:AssumeRole") {
				kind, road = "trust policy", finding.Pod
			}
		}
		if f := str(s, "Principal", "Federated"); f != "" {
			e.add("trust.federated", f, d.where(get(s, "Principal", "Federated")))
		}
		c := get(s, "Condition")
		if c == nil {
			continue
		}
		for i := 0; i+1 < len(c.Content); i += 2 {
			op, set := c.Content[i].Value, c.Content[i+1]
			for k := 0; k+1 < len(set.Content); k += 2 {
				key, v := set.Content[k].Value, set.Content[k+1]
				values := items(v)
				if v.Kind == yaml.ScalarNode {
					values = []*yaml.Node{v}
				}
				short := key[strings.LastIndexByte(key, ':')+1:]
				for _, one := range values {
					e.add("trust."+short, one.Value, d.where(one))
					if strings.EqualFold(op, "StringEquals") && strings.ContainsAny(one.Value, "*?") {
						e.add("trust.wildcardEquals", one.Value, d.where(one))
					}
				}
				if issuer, _, ok := strings.Cut(key, ":"); ok && strings.Contains(issuer, "/id/") {
					e.add("trust.issuer", issuer, d.where(set.Content[k]))
				}
			}
		}
	}
	e.piece(Piece{Kind: kind, Road: road, Where: d.where(n)})
	return true, true
}

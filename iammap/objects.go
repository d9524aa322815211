package iammap

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// identityMapping reads an IAMIdentityMapping
// (iamauthenticator.k8s.aws/v1alpha1).
func (f *file) identityMapping(d document) {
	r := f.reader(CRD, d.at)
	name, _ := metadata(d.node)
	subject := "IAMIdentityMapping " + name
	e := Entry{Section: subject, Pos: r.pos(d.node)}
	spec := get(d.node, "spec")
	arn, arnPos := "", e.Pos
	before := len(r.src.Faults)
	for _, p := range pairs(spec) {
		switch p.key.Value {
		case "arn":
			arn, arnPos = r.scalar(subject, "arn", p.value), r.pos(p.value)
		case "username":
			e.Username = r.scalar(subject, "username", p.value)
		case "groups":
			e.Groups = r.groups(subject, p.value)
		default:
			if meant, how := closest(p.key.Value, []string{"arn", "username", "groups"}); meant != "" {
				q := r.src.fault("KC403", subject, fmt.Sprintf("key %q is not read: %s, it must be %s", p.key.Value, how, meant), r.pos(p.key))
				q.Fix.Summary = "Rename the key to " + meant + "."
				if meant == "arn" && p.value != nil {
					r.src.dead(p.value.Value, fmt.Sprintf("%s: its key is %q and must be arn", how, p.key.Value), r.pos(p.value))
				}
			}
		}
	}
	// A typed client can not decode such an object at all.
	for i := range r.src.Faults[before:] {
		if q := &r.src.Faults[before+i]; q.Code == "KC415" || q.Code == "KC408" {
			q.Fatal = true
			if arn != "" {
				r.src.dead(arn, "YAML: a field of the object is of the wrong type, so it is not read", arnPos)
			}
			return
		}
	}
	if arn == "" {
		q := r.src.fault("KC406", subject, "spec.arn is missing, so it maps nobody", e.Pos)
		q.Fix.Summary = "Give it spec.arn."
		return
	}
	r.add(e, ByRole, arn, arnPos)
}

// Access entries: the output of `aws eks describe-access-entry`, of
// `list-access-entries`, which knows only ARNs, and of
// `list-associated-access-policies`, in one file or one after the other.
func (f *file) accessEntries(d document) {
	r := f.reader(AccessEntries, d.at)
	if list := get(d.node, "accessEntries"); list != nil && list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			item = follow(item)
			if item.Kind == yaml.ScalarNode {
				r.accessEntry(&yaml.Node{Kind: yaml.MappingNode, Line: item.Line, Column: item.Column, Content: []*yaml.Node{
					{Kind: yaml.ScalarNode, Value: "principalArn"}, item,
				}})
				continue
			}
			if inner := get(item, "accessEntry"); inner != nil {
				f.accessEntries(d.with(item))
				continue
			}
			r.accessEntry(item)
		}
	}
	if entry := get(d.node, "accessEntry"); entry != nil {
		r.accessEntry(entry)
	}
	switch {
	case get(d.node, "associatedAccessPolicies") != nil:
		r.policies(d.node, get(d.node, "associatedAccessPolicies"))
	case get(d.node, "principalArn") != nil && get(d.node, "accessEntry") == nil:
		r.accessEntry(d.node)
	}
}

func (r *reader) accessEntry(node *yaml.Node) {
	value := func(key string) string {
		if v := get(node, key); v != nil {
			return v.Value
		}
		return ""
	}
	arn := value("principalArn")
	subject := "access entry " + arn
	if arn == "" {
		q := r.src.fault("KC406", "access entry", "it has no principalArn", r.pos(node))
		q.Fix.Summary = "Use the output of aws eks describe-access-entry as it is."
		return
	}
	e := Entry{Section: subject, Pos: r.pos(node), Type: value("type"), Username: value("username")}
	if e.Type == "" {
		e.Type = "STANDARD"
	}
	e.Groups = r.groups(subject, get(node, "kubernetesGroups"))
	kind := ByRole
	if a, err := ParseARN(arn); err == nil {
		if a.kindOf() == string(User) {
			kind = ByUser
		}
		e.fillAccess(a)
	}
	e.Kind, e.ARN, e.ARNPos = kind, arn, r.pos(get(node, "principalArn"))
	// EKS binds an entry to the principal's id and compares what STS says, so
	// the path that the ARN may hold here does no harm.
	if a, err := ParseARN(arn); err == nil && a.kindOf() == string(Role) {
		arn = a.withoutPath().String()
	}
	e.Key = strings.ToLower(arn)
	r.src.Entries = append(r.src.Entries, e)
	if list := get(node, "associatedAccessPolicies"); list != nil {
		r.policies(node, list)
	}
}

// nodeTypes are the types of access entries for nodes, with the user name and
// groups that EKS gives them
// (https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html).
var nodeTypes = map[string]struct {
	username string
	groups   []string
}{
	"EC2_LINUX":      {"system:node:{{EC2PrivateDNSName}}", []string{"system:nodes"}},
	"EC2_WINDOWS":    {"system:node:{{EC2PrivateDNSName}}", []string{"system:nodes", "eks:kube-proxy-windows"}},
	"EC2":            {"system:node:{{EC2PrivateDNSName}}", []string{"system:nodes"}},
	"FARGATE_LINUX":  {"system:node:{{SessionName}}", []string{"system:nodes", "system:node-proxier"}},
	"HYBRID_LINUX":   {"system:node:{{SessionName}}", []string{"system:nodes"}},
	"HYPERPOD_LINUX": {"system:node:{{SessionName}}", []string{"system:nodes"}},
}

// fillAccess puts in what EKS does where the entry leaves it out.
func (e *Entry) fillAccess(a ARN) {
	if n, ok := nodeTypes[e.Type]; ok {
		if e.Username == "" {
			e.Username = n.username
		}
		if len(e.Groups) == 0 {
			e.Groups = n.groups
		}
		return
	}
	if e.Username != "" {
		return
	}
	e.Username = a.String()
	if a.kindOf() == string(Role) {
		e.Username = ARN{a.Partition, "sts", "", a.Account, "assumed-role/" + a.name() + "/{{SessionName}}"}.String()
	}
}

// policies adds associated access policies to the entry of their principal.
func (r *reader) policies(node, list *yaml.Node) {
	principal := get(node, "principalArn")
	if principal == nil || list.Kind != yaml.SequenceNode {
		return
	}
	var out []Policy
	for _, item := range list.Content {
		p := Policy{Scope: "cluster"}
		if v := get(item, "policyArn"); v != nil {
			p.ARN = v.Value
		}
		scope := get(item, "accessScope")
		if v := get(scope, "type"); v != nil {
			p.Scope = v.Value
		}
		if v := get(scope, "namespaces"); v != nil {
			for _, n := range v.Content {
				p.Namespaces = append(p.Namespaces, n.Value)
			}
		}
		out = append(out, p)
	}
	for i := range r.src.Entries {
		if e := &r.src.Entries[i]; e.ARN == principal.Value {
			e.Policies = append(e.Policies, out...)
			return
		}
	}
	// The policies came before their entry, or without it.
	r.accessEntry(&yaml.Node{Kind: yaml.MappingNode, Line: node.Line, Column: node.Column, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: "principalArn"}, principal,
	}})
	r.src.Entries[len(r.src.Entries)-1].Policies = out
}

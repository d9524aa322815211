package iammap

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// lists are the three lists that most formats have.
type lists struct {
	MapRoles    []*yaml.Node `yaml:"mapRoles,omitempty"`
	MapUsers    []*yaml.Node `yaml:"mapUsers,omitempty"`
	MapAccounts []*yaml.Node `yaml:"mapAccounts,omitempty"`
}

func scalarNode(s string) *yaml.Node {
	var n yaml.Node
	n.SetString(s)
	return &n
}

func quoted(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

// object makes a mapping with its keys in order. Empty values are left out.
func object(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case string:
			if v != "" {
				n.Content = append(n.Content, scalarNode(key), scalarNode(v))
			}
		case []string:
			if len(v) > 0 {
				list := &yaml.Node{Kind: yaml.SequenceNode}
				for _, s := range v {
					list.Content = append(list.Content, scalarNode(s))
				}
				n.Content = append(n.Content, scalarNode(key), list)
			}
		case *yaml.Node:
			if v != nil {
				n.Content = append(n.Content, scalarNode(key), v)
			}
		}
	}
	return n
}

// lists sorts the entries into the three lists, with the ARN's keys as the
// format wants them.
func (c *converter) lists(roleKey, userKey string) lists {
	var l lists
	likeKey := "rolearnlike"
	if roleKey == "roleARN" {
		likeKey = "roleARNLike"
	}
	for i := range c.entries {
		e := &c.entries[i]
		switch e.Kind {
		case ByAccount:
			l.MapAccounts = append(l.MapAccounts, quoted(e.ARN))
		case ByUser:
			l.MapUsers = append(l.MapUsers, object(userKey, e.ARN, "username", e.Username, "groups", e.Groups, "userid", e.UserID))
		case ByRole:
			l.MapRoles = append(l.MapRoles, object(roleKey, e.ARN, "username", e.Username, "groups", e.Groups, "userid", e.UserID))
		case ByPattern:
			l.MapRoles = append(l.MapRoles, object(likeKey, e.ARN, "username", e.Username, "groups", e.Groups))
		case BySSO:
			sso := object("permissionSetName", e.SSO.PermissionSetName, "accountID", quoted(e.SSO.AccountID), "partition", e.SSO.Partition)
			l.MapRoles = append(l.MapRoles, object("sso", sso, "username", e.Username, "groups", e.Groups))
		}
	}
	return l
}

func (c *converter) writeConfigMap() ([]byte, error) {
	l := c.lists("rolearn", "userarn")
	data := &yaml.Node{Kind: yaml.MappingNode}
	for _, section := range []struct {
		key   string
		nodes []*yaml.Node
	}{{"mapRoles", l.MapRoles}, {"mapUsers", l.MapUsers}, {"mapAccounts", l.MapAccounts}} {
		if len(section.nodes) == 0 {
			continue
		}
		text, err := yamlText(section.nodes)
		if err != nil {
			return nil, err
		}
		data.Content = append(data.Content, scalarNode(section.key), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: string(text)})
	}
	return yamlText(object(
		"apiVersion", "v1", "kind", "ConfigMap",
		"metadata", object("name", "aws-auth", "namespace", "kube-system"),
		"data", data,
	))
}

var notInNames = lazyexp.New(`[^a-z0-9]+`)

// writeObjects writes IAMIdentityMapping objects, named by their ARNs.
func (c *converter) writeObjects() ([]byte, error) {
	var b bytes.Buffer
	used := map[string]int{}
	for i := range c.entries {
		e := &c.entries[i]
		a, err := ParseARN(e.ARN)
		if err != nil {
			continue
		}
		name := strings.Trim(notInNames().ReplaceAllString(strings.ToLower(a.Account+"-"+a.Resource), "-"), "-")
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, used[name])
		}
		text, err := yamlText(object(
			"apiVersion", "iamauthenticator.k8s.aws/v1alpha1", "kind", "IAMIdentityMapping",
			"metadata", object("name", name),
			"spec", object("arn", e.ARN, "username", e.Username, "groups", e.Groups),
		))
		if err != nil {
			return nil, err
		}
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

func (c *converter) writeDynamic() ([]byte, error) {
	type mapping struct {
		RoleARN  string   `json:"rolearn,omitempty"`
		UserARN  string   `json:"userarn,omitempty"`
		UserID   string   `json:"userid,omitempty"`
		Username string   `json:"username"`
		Groups   []string `json:"groups"`
	}
	out := struct {
		MapRoles    []mapping `json:"mapRoles"`
		MapUsers    []mapping `json:"mapUsers"`
		MapAccounts []string  `json:"mapAccounts"`
	}{[]mapping{}, []mapping{}, []string{}}
	for i := range c.entries {
		e := &c.entries[i]
		m := mapping{UserID: e.UserID, Username: e.Username, Groups: e.Groups}
		if m.Groups == nil {
			m.Groups = []string{}
		}
		switch e.Kind {
		case ByAccount:
			out.MapAccounts = append(out.MapAccounts, e.ARN)
		case ByUser:
			m.UserARN = e.ARN
			out.MapUsers = append(out.MapUsers, m)
		case ByRole:
			m.RoleARN = e.ARN
			out.MapRoles = append(out.MapRoles, m)
		}
	}
	return jsonText(out)
}

// writeAccess writes what the aws CLI prints for access entries and their
// policies.
func (c *converter) writeAccess() ([]byte, error) {
	type scope struct {
		Type       string   `json:"type"`
		Namespaces []string `json:"namespaces,omitempty"`
	}
	type policy struct {
		PolicyARN   string `json:"policyArn"`
		AccessScope scope  `json:"accessScope"`
	}
	type entry struct {
		ClusterName      string   `json:"clusterName,omitempty"`
		PrincipalARN     string   `json:"principalArn"`
		KubernetesGroups []string `json:"kubernetesGroups,omitempty"`
		Username         string   `json:"username,omitempty"`
		Type             string   `json:"type"`
		Policies         []policy `json:"associatedAccessPolicies,omitempty"`
	}
	out := struct {
		AccessEntries []entry `json:"accessEntries"`
	}{[]entry{}}
	for i := range c.entries {
		e := &c.entries[i]
		a := entry{ClusterName: c.options.ClusterName, PrincipalARN: e.ARN, KubernetesGroups: e.Groups, Username: e.Username, Type: e.Type}
		for _, p := range e.Policies {
			a.Policies = append(a.Policies, policy{p.ARN, scope{p.Scope, p.Namespaces}})
		}
		out.AccessEntries = append(out.AccessEntries, a)
	}
	return jsonText(out)
}

package iammap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Lost is something that a format can not say, or says differently.
type Lost struct {
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"`
}

// ConvertOptions say what a conversion needs beside the mappings.
type ConvertOptions struct {
	// ClusterName is put into access entries.
	ClusterName string
}

// Convert writes what a table does in another format, and lists what of it the
// format can not hold. Entries that never match or are hidden are not written;
// they are listed too.
func Convert(t *Table, to Format, o ConvertOptions) ([]byte, []Lost, error) {
	c := converter{to: to, options: o}
	effects := t.Effects()
	c.leftOut(t, effects)
	// In the order of the sources, as a person would have written it.
	rank := t.ranks()
	slices.SortStableFunc(effects, func(a, b Effect) int {
		return rank[a.Match.Entry] - rank[b.Match.Entry]
	})
	for _, e := range effects {
		if a, ok := c.adapt(e.Match); ok {
			c.entries = append(c.entries, a)
		}
	}
	data, err := c.write()
	return data, c.lost, err
}

// ranks says where each entry stands among all entries of all sources.
func (t *Table) ranks() map[*Entry]int {
	rank := map[*Entry]int{}
	for i := range t.parts {
		s := t.parts[i].src
		for j := range s.Entries {
			rank[&s.Entries[j]] = len(rank)
		}
	}
	return rank
}

type converter struct {
	to      Format
	options ConvertOptions
	entries []Entry
	lost    []Lost
}

func (c *converter) lose(m Match, what string) {
	c.lost = append(c.lost, Lost{m.Source.Name, m.Entry.Pos.Line, m.Entry.label() + ": " + what})
}

// leftOut lists the entries that have no effect, and settings that no other
// format has.
func (c *converter) leftOut(t *Table, effects []Effect) {
	used := map[*Entry]bool{}
	for _, e := range effects {
		used[e.Match.Entry] = true
	}
	for i := range t.parts {
		s := t.parts[i].src
		for j := range s.Entries {
			e := &s.Entries[j]
			switch {
			case used[e]:
			case !e.alive(s.Format):
				c.lose(Match{s, e}, "not written: it never matches (lint says why)")
			default:
				c.lose(Match{s, e}, "not written: another entry for the same principal counts")
			}
		}
		for _, d := range s.Dead {
			c.lost = append(c.lost, Lost{s.Name, d.Pos.Line, d.ARN + ": not written: " + d.Reason})
		}
		if len(s.Reserved) > 0 && c.to != ConfigFile {
			c.lost = append(c.lost, Lost{s.Name, 0, "reservedPrefixConfig: only the config file has it"})
		}
		if s.Count(ByAccount) > 0 && i < len(t.parts)-1 && len(t.parts) > 1 {
			c.lost = append(c.lost, Lost{s.Name, 0, "mapAccounts of this source were asked before the sources after it; in one source they come last"})
		}
	}
}

// adapt changes an entry as far as the format needs it, and tells whether the
// format can hold it.
func (c *converter) adapt(m Match) (Entry, bool) {
	e := *m.Entry
	e.Groups = slices.Clone(e.Groups)
	switch {
	case e.Kind == ByAccount && (c.to == CRD || c.to == AccessEntries):
		c.lose(m, "whole accounts can not be mapped there")
		return e, false
	case e.Kind == BySSO && (c.to == CRD || c.to == AccessEntries || c.to == DynamicFile):
		c.lose(m, "permission sets can not be mapped there: map the role, with its suffix")
		return e, false
	case e.Kind == ByPattern && (c.to == CRD || c.to == AccessEntries || c.to == DynamicFile):
		c.lose(m, "patterns can not be mapped there")
		return e, false
	case e.Kind == BySSO && c.to == AWSAuth && m.Source.Format != AWSAuth:
		c.lose(m, "sso matchers in aws-auth are read by self-managed servers, not by EKS")
	case e.Kind == ByPattern && m.Source.Format != c.to:
		c.lose(m, "rolearnlike is read by kubecred's server alone")
	}
	if a, err := ParseARN(e.ARN); err == nil && a.kindOf() == string(Role) && a.path() != "" && c.to != AccessEntries {
		e.ARN = a.withoutPath().String()
	}
	if e.UserID != "" && c.to != DynamicFile && c.to != ConfigFile && c.to != AWSAuth {
		c.lose(m, "userid "+e.UserID+" is left out")
	}
	if c.to == AccessEntries {
		return c.access(m, e)
	}
	return c.fromAccess(m, e), true
}

// fromAccess takes out what only access entries have.
func (c *converter) fromAccess(m Match, e Entry) Entry {
	for _, p := range e.Policies {
		if strings.HasSuffix(p.ARN, "/AmazonEKSClusterAdminPolicy") && p.Scope == "cluster" {
			if !slices.Contains(e.Groups, masters) {
				e.Groups = append(e.Groups, masters)
			}
			continue
		}
		c.lose(m, "access policy "+p.String()+" has no counterpart: bind a Role or ClusterRole to the user or a group")
	}
	if _, node := nodeTypes[e.Type]; node && !slices.Contains(e.Groups, "system:bootstrappers") {
		e.Groups = append([]string{"system:bootstrappers"}, e.Groups...)
	}
	return e
}

// keptPrefixes are those that EKS keeps to itself in user names and groups of
// access entries.
var keptPrefixes = []string{"system:", "eks:", "aws:", "amazon:", "iam:"}

func kept(s string) bool {
	return slices.ContainsFunc(keptPrefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// access makes an access entry of a mapping.
func (c *converter) access(m Match, e Entry) (Entry, bool) {
	if m.Source.Format == AccessEntries {
		return e, true
	}
	a, err := ParseARN(e.ARN)
	if err != nil {
		return e, false
	}
	if a.Service != "iam" || a.kindOf() != string(Role) && a.kindOf() != string(User) {
		c.lose(m, "an access entry names a role or a user")
		return e, false
	}
	e.Type = "STANDARD"
	switch {
	case slices.Contains(e.Groups, "system:nodes") && slices.Contains(e.Groups, "system:node-proxier"):
		e.Type = "FARGATE_LINUX"
	case slices.Contains(e.Groups, "system:nodes") && slices.Contains(e.Groups, "eks:kube-proxy-windows"):
		e.Type = "EC2_WINDOWS"
	case slices.Contains(e.Groups, "system:nodes"):
		e.Type = "EC2_LINUX"
	}
	if e.Type != "STANDARD" {
		if other := without(e.Groups, append([]string{"system:bootstrappers"}, builtin...)); len(other) > 0 || slices.Contains(e.Groups, masters) {
			c.lose(m, "an entry for nodes gives no further groups: "+strings.Join(without(e.Groups, []string{"system:bootstrappers", "system:nodes", "system:node-proxier", "eks:kube-proxy-windows"}), ", "))
		}
		e.Username, e.Groups = "", nil // EKS sets both by the type
		return e, true
	}
	var groups []string
	for _, g := range e.Groups {
		switch {
		case g == masters:
			e.Policies = append(e.Policies, Policy{ARN: "arn:" + a.Partition + ":eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", Scope: "cluster"})
		case kept(g):
			c.lose(m, "group "+g+": EKS keeps its prefix to itself")
		case strings.Contains(g, "{{"):
			c.lose(m, "group "+g+": groups of access entries have no templates")
		default:
			groups = append(groups, g)
		}
	}
	e.Groups = groups
	switch {
	case e.Username == "":
		c.lose(m, "an empty user name becomes EKS's own, by the ARN")
	case kept(e.Username):
		c.lose(m, "user name "+e.Username+": EKS keeps its prefix to itself, and names the user by the ARN")
		e.Username = ""
	}
	return e, true
}

func (c *converter) write() ([]byte, error) {
	switch c.to {
	case ConfigFile:
		return yamlText(struct {
			Server lists `yaml:"server"`
		}{c.lists("roleARN", "userARN")})
	case AWSAuth:
		return c.writeConfigMap()
	case CRD:
		return c.writeObjects()
	case DynamicFile:
		return c.writeDynamic()
	case AccessEntries:
		return c.writeAccess()
	}
	return nil, fmt.Errorf("there is no format %q: use one of %v", c.to, Formats())
}

func yamlText(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

func jsonText(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

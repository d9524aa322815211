package iammap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"go.yaml.in/yaml/v3"
)

// reader decodes the entries of one text into a source.
type reader struct {
	src *Source
	at  place
	// strict: the case of keys matters, as in aws-auth and in objects of the
	// API server. viper and encoding/json do not care.
	strict bool
	// weak: a list may be written as one text with commas, as viper reads it.
	weak bool
}

func (r *reader) pos(n *yaml.Node) Pos { return r.at(n.Line, n.Column) }

// entryKeys are the keys of an entry in mapRoles and mapUsers.
var entryKeys = []string{"rolearn", "userarn", "rolearnlike", "username", "groups", "sso", "userid"}

// list decodes a mapRoles or mapUsers list.
func (r *reader) list(section string, node *yaml.Node) {
	if isNull(node) {
		return
	}
	if node.Kind != yaml.SequenceNode {
		r.notAList(section, node)
		return
	}
	first, faults := len(r.src.Entries), len(r.src.Faults)
	for i, item := range node.Content {
		r.entry(section, i, follow(item))
	}
	for _, f := range r.src.Faults[faults:] {
		if f.Fatal { // as in the authenticator, none of the list counts then
			for _, e := range r.src.Entries[first:] {
				r.src.dead(e.ARN, "YAML: "+section+" does not parse, so none of its entries counts", e.Pos)
			}
			r.src.Entries = r.src.Entries[:first]
			return
		}
	}
}

func (r *reader) notAList(section string, node *yaml.Node) {
	f := r.src.fault("KC415", section, fmt.Sprintf("%s is %s where a list of entries belongs, so none of it counts", section, describe(node)), r.pos(node))
	f.Fatal = true
	f.Fix.Summary = "Write a list: each entry begins with a dash and a space."
	for _, p := range pairs(node) {
		if strings.HasPrefix(p.key.Value, "-") {
			f.Details = append(f.Details, fmt.Sprintf("%q: a dash without a space after it begins no list entry", p.key.Value))
		}
		if p.value != nil && strings.HasPrefix(p.value.Value, "arn:") {
			r.src.dead(p.value.Value, "YAML: "+section+" is no list, so none of it counts", r.pos(p.value))
		}
	}
}

// draft is an entry while its keys are read.
type draft struct {
	Entry
	role, user, like string
	rolePos, userPos Pos
	subject          string
	deadReason       string
	deadARN          string
}

func (r *reader) entry(section string, i int, node *yaml.Node) {
	subject := fmt.Sprintf("%s, entry %d", section, i+1)
	if node == nil || node.Kind != yaml.MappingNode {
		if node == nil {
			return
		}
		f := r.src.fault("KC415", subject, fmt.Sprintf("the entry is %s where a mapping with an ARN belongs", describe(node)), r.pos(node))
		f.Fix.Summary = "Give the entry the keys " + arnKey(section) + ", username and groups."
		if strings.HasPrefix(node.Value, "arn:") {
			r.src.dead(node.Value, "kind: the entry is a bare ARN without a user name", r.pos(node))
		}
		return
	}
	d := draft{subject: subject}
	d.Section = section
	d.Pos = r.pos(node)
	seen := map[string]*yaml.Node{}
	for _, p := range pairs(node) {
		if p.key.Kind != yaml.ScalarNode {
			r.unquotedTemplate(subject, p.key)
			continue
		}
		key, ok := r.key(&d, p)
		if !ok {
			continue
		}
		if before := seen[key]; before != nil {
			f := r.src.fault("KC410", subject, fmt.Sprintf("duplicate key %s: it stands twice in one entry, and the last one counts", p.key.Value), r.pos(p.key))
			f.Fix.Summary = "Keep one of them; is a dash missing before the second, to begin another entry?"
			f.Details = []string{fmt.Sprintf("the first is in line %d", r.pos(before).Line)}
		}
		seen[key] = p.key
		r.field(&d, key, p.value)
	}
	r.finish(&d, section)
}

func arnKey(section string) string {
	if section == "mapUsers" {
		return "userarn"
	}
	return "rolearn"
}

// key makes out which key was meant, and notes those that are not read.
func (r *reader) key(d *draft, p pair) (string, bool) {
	raw := p.key.Value
	lower := strings.ToLower(raw)
	if slices.Contains(entryKeys, lower) && (!r.strict || raw == lower) {
		return lower, true
	}
	meant, how := closest(raw, entryKeys)
	if lower == "arn" {
		meant, how = arnKey(d.Section), "spelling"
	}
	if meant == "" {
		f := r.src.fault("KC403", d.subject, fmt.Sprintf("key %q is none that is read (spelling?)", raw), r.pos(p.key))
		f.Severity = finding.Warning
		f.Fix.Summary = "Remove it, or write one of " + strings.Join(entryKeys, ", ") + "."
		return "", false
	}
	message := fmt.Sprintf("key %q is not read: its spelling must be %s", raw, meant)
	if how == "case" {
		message = fmt.Sprintf("key %q is not read: the case of a key matters here, it must be %s", raw, meant)
	}
	f := r.src.fault("KC403", d.subject, message, r.pos(p.key))
	f.Fix.Summary = "Rename the key to " + meant + "."
	f.Evidence["key"], f.Evidence["meant"] = raw, meant
	switch meant {
	case "rolearn", "userarn":
		f.Details = []string{"without it the entry has no ARN and maps nobody"}
		if p.value != nil && p.value.Kind == yaml.ScalarNode {
			d.deadARN = p.value.Value
			d.deadReason = fmt.Sprintf("%s: its key is %q and must be %s, so the entry has no ARN", how, raw, meant)
		}
	case "groups":
		f.Details = []string{"without it the entry gives no groups"}
	case "username":
		f.Details = []string{"without it the user has no name"}
	}
	return "", false
}

// field takes the value of a known key.
func (r *reader) field(d *draft, key string, value *yaml.Node) {
	switch key {
	case "rolearn":
		d.role, d.rolePos = r.scalar(d.subject, key, value), r.pos(value)
	case "userarn":
		d.user, d.userPos = r.scalar(d.subject, key, value), r.pos(value)
	case "rolearnlike":
		d.like, d.rolePos = r.scalar(d.subject, key, value), r.pos(value)
	case "username":
		d.Username = r.scalar(d.subject, key, value)
	case "userid":
		d.UserID = r.scalar(d.subject, key, value)
	case "groups":
		d.Groups = r.groups(d.subject, value)
	case "sso":
		d.SSO = r.sso(d.subject, value)
	}
}

// scalar reads a text. Where keys are decoded as JSON a number is refused, as
// encoding/json refuses it for a string.
func (r *reader) scalar(subject, key string, value *yaml.Node) string {
	switch {
	case isNull(value):
		return ""
	case value.Kind == yaml.MappingNode:
		r.unquotedTemplate(subject, value)
		return ""
	case value.Kind != yaml.ScalarNode, !r.weak && !isText(value):
		f := r.src.fault("KC415", subject, fmt.Sprintf("%s is %s where a text belongs, and is not read", key, describe(value)), r.pos(value))
		f.Fix.Summary = "Put the value in quotes."
		return ""
	}
	return value.Value
}

// unquotedTemplate tells a template that YAML reads as a mapping from other
// mappings. The authenticator's parser refuses the whole text for it.
func (r *reader) unquotedTemplate(subject string, node *yaml.Node) {
	for _, p := range pairs(node) {
		if p.key.Kind == yaml.MappingNode && len(p.key.Content) > 0 {
			name := p.key.Content[0].Value
			f := r.src.fault("KC409", subject, fmt.Sprintf("unquoted template {{%s}}: YAML reads it as a mapping and refuses the whole list", name), r.pos(node))
			f.Fatal = true
			f.Fix.Summary = fmt.Sprintf("Put the value in quotes: %q.", "{{"+name+"}}")
			return
		}
	}
	f := r.src.fault("KC415", subject, fmt.Sprintf("%s stands where a text belongs", describe(node)), r.pos(node))
	f.Fix.Summary = "Write a text there."
}

func (r *reader) groups(subject string, value *yaml.Node) []string {
	switch {
	case isNull(value):
		return nil
	case value.Kind == yaml.ScalarNode && r.weak:
		return strings.Split(value.Value, ",")
	case value.Kind != yaml.SequenceNode:
		f := r.src.fault("KC408", subject, fmt.Sprintf("groups is %s where a list belongs, so the entry gives no groups", describe(value)), r.pos(value))
		f.Severity = finding.Error
		f.Fix.Summary = "Write a list: groups: [" + value.Value + "]"
		if value.Kind == yaml.MappingNode {
			f.Fix.Summary = "Write a list, one group after each dash."
		}
		return nil
	}
	var out []string
	for _, item := range value.Content {
		if g := r.scalar(subject, "a group", follow(item)); g != "" {
			out = append(out, g)
		}
	}
	return out
}

// sso reads the matcher of a permission set (pkg/config.SSOARNMatcher).
func (r *reader) sso(subject string, value *yaml.Node) *SSO {
	if isNull(value) {
		return nil
	}
	var s SSO
	for _, p := range pairs(value) {
		switch strings.ToLower(p.key.Value) {
		case "permissionsetname":
			s.PermissionSetName = r.scalar(subject, "permissionSetName", p.value)
		case "accountid":
			s.AccountID = r.scalar(subject, "accountID", p.value)
		case "partition":
			s.Partition = r.scalar(subject, "partition", p.value)
		}
	}
	return &s
}

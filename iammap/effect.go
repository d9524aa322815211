package iammap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Effect is what a table does for one key: an ARN in lower case, a pattern, or
// an account.
type Effect struct {
	Key   string
	Match Match
}

// Effects lists every key that a table answers for, with the entry that
// counts, sorted by key. Entries that never match and those that others hide
// are not in it.
func (t *Table) Effects() []Effect {
	var out []Effect
	seen := map[string]bool{}
	for i := range t.parts {
		s := t.parts[i].src
		for j := range s.Entries {
			e := &s.Entries[j]
			if e.Key == "" || seen[e.Key] || !e.alive(s.Format) {
				continue
			}
			if m, ok := t.counts(e.Key, e.Kind); ok {
				seen[e.Key] = true
				out = append(out, Effect{e.Key, m})
			}
		}
	}
	slices.SortFunc(out, func(a, b Effect) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// counts finds the entry that answers for a key.
func (t *Table) counts(key string, kind EntryKind) (Match, bool) {
	if kind == ByRole || kind == ByUser {
		a, err := ParseARN(key)
		if err != nil {
			return Match{}, false
		}
		return t.Lookup(Identity{Canonical: key, Account: a.Account})
	}
	for i := range t.parts {
		s := t.parts[i].src
		for j := len(s.Entries) - 1; j >= 0; j-- {
			if e := &s.Entries[j]; e.Kind == kind && e.Key == key {
				return Match{s, e}, true
			}
		}
	}
	return Match{}, false
}

// alive tells whether the ARN of an entry is one that STS can answer with.
func (e *Entry) alive(format Format) bool {
	if e.Kind != ByRole && e.Kind != ByUser {
		return true
	}
	kind, canonical, err := Canonical(e.Key)
	if err != nil || kind == AssumedRole {
		return false
	}
	a, err := ParseARN(canonical)
	if err != nil || a.Region != "" || strings.ContainsAny(canonical, "*? <>") {
		return false
	}
	return a.kindOf() != string(Role) || a.path() == "" || format == AccessEntries
}

// Change is one difference between two tables, by effect.
type Change struct {
	// Key is the ARN in lower case, the pattern, or the account.
	Key string
	// What is "added", "removed" or "changed".
	What     string
	Old, New *Match // nil where there is none
	// Details say what changes, one idea each.
	Details []string
}

// Diff compares what two tables do, not how they are written: for each ARN
// that one of them names, who it is under both. What comes to the same thing
// under another name is in alike: the group system:masters and EKS's policy
// AmazonEKSClusterAdminPolicy, a node by its groups and by the type of its
// access entry.
func Diff(before, after *Table) (changes, alike []Change) {
	keys := map[string]EntryKind{}
	for _, t := range []*Table{before, after} {
		for _, e := range t.Effects() {
			keys[e.Key] = e.Match.Entry.Kind
		}
	}
	sorted := make([]string, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.Sort(sorted)
	for _, key := range sorted {
		old, inOld := effectOf(before, key, keys[key])
		now, inNew := effectOf(after, key, keys[key])
		c := Change{Key: key}
		switch {
		case inOld && inNew:
			c.What, c.Old, c.New = "changed", &old, &now
			same := c.compare()
			if len(c.Details) == 0 {
				continue
			}
			if same {
				alike = append(alike, c)
				continue
			}
		case inOld:
			c.What, c.Old = "removed", &old
			c.Details = []string{"nobody then: " + effectText(old.Entry)}
		case inNew:
			c.What, c.New = "added", &now
			c.Details = []string{effectText(now.Entry)}
		default:
			continue
		}
		changes = append(changes, c)
	}
	return changes, alike
}

func effectOf(t *Table, key string, kind EntryKind) (Match, bool) {
	m, ok := t.counts(key, kind)
	if ok && !m.Entry.alive(m.Source.Format) {
		return Match{}, false
	}
	return m, ok
}

// compare notes what differs and tells whether all of it comes to the same.
func (c *Change) compare() bool {
	o, n := c.Old.Entry, c.New.Entry
	same := true
	if name(o, c.Key) != name(n, c.Key) {
		c.Details = append(c.Details, fmt.Sprintf("user name: %s becomes %s", orElse(name(o, c.Key), "none"), orElse(name(n, c.Key), "none")))
		same = false
	}
	gone, come := without(o.Groups, n.Groups), without(n.Groups, o.Groups)
	lostPolicies, newPolicies := without(policyNames(o), policyNames(n)), without(policyNames(n), policyNames(o))
	const admin = "AmazonEKSClusterAdminPolicy on the cluster"
	if slices.Contains(gone, masters) && slices.Contains(newPolicies, admin) {
		gone, newPolicies = without(gone, []string{masters}), without(newPolicies, []string{admin})
		c.Details = append(c.Details, "group system:masters becomes AmazonEKSClusterAdminPolicy on the cluster, which gives the same rights")
	}
	if slices.Contains(come, masters) && slices.Contains(lostPolicies, admin) {
		come, lostPolicies = without(come, []string{masters}), without(lostPolicies, []string{admin})
		c.Details = append(c.Details, "AmazonEKSClusterAdminPolicy on the cluster becomes group system:masters, which gives the same rights")
	}
	if strings.HasPrefix(o.Username, "system:node:") && strings.HasPrefix(n.Username, "system:node:") {
		boot := []string{"system:bootstrappers"}
		if d := len(gone) + len(come); len(without(gone, boot))+len(without(come, boot)) < d {
			gone, come = without(gone, boot), without(come, boot)
			c.Details = append(c.Details, "group system:bootstrappers, which nodes that log in as themselves do not need")
		}
	}
	for _, part := range []struct {
		text  string
		names []string
	}{{"loses group", gone}, {"gets group", come}, {"loses access policy", lostPolicies}, {"gets access policy", newPolicies}} {
		for _, n := range part.names {
			c.Details = append(c.Details, part.text+" "+n)
			same = false
		}
	}
	return same
}

const masters = "system:masters"

// name is the template of the user's name; of an account's principals the ARN.
func name(e *Entry, key string) string {
	if e.Kind == ByAccount && key != e.Key {
		return key
	}
	return e.Username
}

func without(names, minus []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(minus, n) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func policyNames(e *Entry) []string {
	var out []string
	for _, p := range e.Policies {
		out = append(out, p.String())
	}
	return out
}

func effectText(e *Entry) string {
	if e.Kind == ByAccount {
		return "every principal of the account, under its ARN"
	}
	s := brief(e)
	if len(e.Policies) > 0 {
		s += ", " + strings.Join(policyNames(e), ", ")
	}
	return s
}

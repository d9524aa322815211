package kubeconfig

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// duplicate is a key that stands twice in one mapping.
type duplicate struct {
	key  *yaml.Node // the later one
	name string
}

// duplicateKey returns the first key that is given twice in one mapping.
func (f *File) duplicateKey() (*yaml.Node, string) {
	d := findDuplicates(f.root, nil, 1)
	if len(d) == 0 {
		return nil, ""
	}
	return d[0].key, d[0].name
}

// duplicates lists the keys that stand twice in one mapping, at most a hundred.
func (f *File) duplicates() []duplicate { return findDuplicates(f.root, nil, 100) }

func findDuplicates(n *yaml.Node, out []duplicate, limit int) []duplicate {
	if n.Kind == yaml.MappingNode {
		out = duplicatesIn(n, out, limit)
	}
	for _, c := range n.Content {
		if len(out) >= limit {
			break
		}
		out = findDuplicates(c, out, limit) // aliases have no content of their own
	}
	return out
}

func duplicatesIn(n *yaml.Node, out []duplicate, limit int) []duplicate {
	var seen map[string]bool
	if len(n.Content) > 2*smallMapping {
		seen = make(map[string]bool, len(n.Content)/2)
	}
	for i := 0; i < len(n.Content) && len(out) < limit; i += 2 {
		k := n.Content[i]
		if isMerge(k) {
			continue
		}
		name := keyName(k)
		if seen != nil {
			if seen[name] {
				out = append(out, duplicate{k, name})
			}
			seen[name] = true
			continue
		}
		for j := 0; j < i; j += 2 {
			if !isMerge(n.Content[j]) && keyName(n.Content[j]) == name {
				out = append(out, duplicate{k, name})
				break
			}
		}
	}
	return out
}

// badKey is a key that clients can't read at all.
type badKey struct {
	node   *yaml.Node
	reason string
}

// badKeys lists the keys that a client's conversion to JSON refuses, wherever
// they stand (sigs.k8s.io/yaml, convertToJSONableObject), at most a hundred.
func (f *File) badKeys() []badKey { return findBadKeys(f.root, nil) }

func findBadKeys(n *yaml.Node, out []badKey) []badKey {
	for i, c := range n.Content {
		if len(out) >= 100 {
			return out
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if reason := keyFault(c, n.Content[i+1]); reason != "" {
				out = append(out, badKey{c, reason})
			}
		}
		out = findBadKeys(c, out)
	}
	return out
}

func keyFault(k, v *yaml.Node) string {
	if isMerge(k) {
		switch v = follow(v); v.Kind {
		case yaml.MappingNode:
			return ""
		case yaml.SequenceNode:
			for _, c := range v.Content {
				if follow(c).Kind != yaml.MappingNode {
					return "a merge (<<) of something that is no mapping"
				}
			}
			return ""
		}
		return "a merge (<<) of something that is no mapping"
	}
	switch r := follow(k); {
	case r.Kind != yaml.ScalarNode:
		return kindName(r) + " as a key"
	case scalarType(r) == typeNull:
		return "null as a key"
	case scalarType(r) == typeNumber:
		plain := strings.ReplaceAll(r.Value, "_", "")
		if _, err := strconv.ParseInt(plain, 0, 64); err != nil {
			if _, err := strconv.ParseUint(plain, 0, 64); err == nil {
				return "a number as a key that is too large"
			}
		}
	}
	return ""
}

package kubeconfig

import "go.yaml.in/yaml/v3"

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

package kubeconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

type yamlNode = yaml.Node

// eachScalar calls do for every scalar below n, aliases not followed.
func (f *File) eachScalar(n *yaml.Node, do func(*yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		do(n)
	}
	for _, c := range n.Content {
		f.eachScalar(c, do)
	}
}

func sorted(splices []splice) []splice {
	out := slices.Clone(splices)
	slices.SortStableFunc(out, func(a, b splice) int { return a.start - b.start })
	return out
}

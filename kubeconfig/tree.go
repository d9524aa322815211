package kubeconfig

import (
	"go.yaml.in/yaml/v3"
)

// pair is a key and value of a mapping, as a client sees it.
type pair struct {
	name       string
	key, value *yaml.Node // value may be an alias
	owner      *yaml.Node // the mapping in which the pair is written
}

// resolved is the value with aliases followed.
func (p pair) resolved() *yaml.Node { return follow(p.value) }

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && (n.Tag == "!!merge" || n.Style == 0)
}

// pairs lists what a client finds in a mapping: merge keys (<<) are spelled out
// and of equal keys the last counts, merged ones too (go.yaml.in/yaml/v2
// decode.go). The order is that of the first mention.
func pairs(n *yaml.Node) []pair {
	n = follow(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	c := collector{out: make([]pair, 0, len(n.Content)/2)}
	c.add(n, 0)
	return c.out
}

// collector gathers the pairs of a mapping; index is made for large ones only.
type collector struct {
	out   []pair
	index map[string]int
}

const smallMapping = 24

func (c *collector) put(p pair) {
	if c.index == nil && len(c.out) > smallMapping {
		c.index = make(map[string]int, 2*len(c.out))
		for i, q := range c.out {
			c.index[q.name] = i
		}
	}
	at := -1
	if c.index != nil {
		if i, ok := c.index[p.name]; ok {
			at = i
		}
	} else {
		for i := range c.out {
			if c.out[i].name == p.name {
				at = i
				break
			}
		}
	}
	if at >= 0 {
		c.out[at] = p
		return
	}
	if c.index != nil {
		c.index[p.name] = len(c.out)
	}
	c.out = append(c.out, p)
}

// maxMerge bounds merges within merges; the size check has counted them before.
const maxMerge = 100

func (c *collector) add(n *yaml.Node, depth int) {
	if depth > maxMerge {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if !isMerge(k) {
			c.put(pair{name: keyName(k), key: k, value: v, owner: n})
			continue
		}
		switch m := follow(v); m.Kind {
		case yaml.MappingNode:
			c.add(m, depth+1)
		case yaml.SequenceNode:
			for j := len(m.Content) - 1; j >= 0; j-- {
				if from := follow(m.Content[j]); from.Kind == yaml.MappingNode {
					c.add(from, depth+1)
				}
			}
		}
	}
}

// keyName is a key as JSON has it: booleans and numbers become texts.
func keyName(k *yaml.Node) string {
	k = follow(k)
	if k.Kind != yaml.ScalarNode {
		return ""
	}
	if t, v := scalarValue(k); t == typeBool {
		if v == true {
			return "true"
		}
		return "false"
	}
	return k.Value
}

// get returns the pair of a key in a mapping.
func get(n *yaml.Node, name string) (pair, bool) {
	for _, p := range pairs(n) {
		if p.name == name {
			return p, true
		}
	}
	return pair{}, false
}

// The share of nodes that may be reached through aliases, as in
// go.yaml.in/yaml/v2 decode.go: a document above it is what is called an alias
// bomb, and clients refuse it.
const (
	aliasSmall, aliasLarge = 400_000, 4_000_000
	aliasFree              = 100
)

func aliasShare(nodes int) float64 {
	switch {
	case nodes <= aliasSmall:
		return 0.99
	case nodes >= aliasLarge:
		return 0.10
	}
	return 0.99 - 0.89*float64(nodes-aliasSmall)/float64(aliasLarge-aliasSmall)
}

// bounded refuses documents that grow without end when aliases are spelled out.
func (f *File) bounded() error {
	b := bomb{open: map[*yaml.Node]bool{}}
	if !b.count(f.root, 0, 0) {
		return &SyntaxError{b.line, b.column, b.reason}
	}
	return nil
}

type bomb struct {
	nodes, aliased int
	open           map[*yaml.Node]bool
	line, column   int
	reason         string
}

// maxDepth is as deep as encoding/json reads.
const maxDepth = 10_000

func (b *bomb) count(n *yaml.Node, aliases, depth int) bool {
	b.nodes++
	if aliases > 0 {
		b.aliased++
	}
	if depth > maxDepth {
		b.line, b.column, b.reason = n.Line, n.Column, "not valid YAML: nested too deeply"
		return false
	}
	if b.aliased > aliasFree && b.nodes > 1000 && float64(b.aliased)/float64(b.nodes) > aliasShare(b.nodes) {
		b.line, b.column, b.reason = n.Line, n.Column, "aliases that repeat each other without end, which clients refuse as an attack"
		return false
	}
	if n.Kind == yaml.AliasNode {
		if b.open[n.Alias] {
			b.line, b.column, b.reason = n.Line, n.Column, "an anchor that holds itself"
			return false
		}
		b.open[n.Alias] = true
		ok := b.count(n.Alias, aliases+1, depth)
		delete(b.open, n.Alias)
		return ok
	}
	for _, c := range n.Content {
		if !b.count(c, aliases, depth+1) {
			return false
		}
	}
	return true
}

// value is a node as JSON values, merges and aliases spelled out. Only documents
// that passed bounded are given to it.
func value(n *yaml.Node) any {
	switch n = follow(n); n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for _, p := range pairs(n) {
			m[p.name] = value(p.value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = value(c)
		}
		return list
	}
	_, v := scalarValue(n)
	return v
}

package imagecred

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// places knows where the values of a document stand. It is best effort: a file
// that only the kubelet's own parser reads has none.
type places struct {
	file   string
	lines  []string
	values map[string]*yaml.Node // "providers[0].matchImages[1]"
	keys   map[string]*yaml.Node
	twice  []keyAgain
}

// keyAgain is a key that its mapping had before.
type keyAgain struct {
	path string
	node *yaml.Node
}

// maxPlaces bounds how many values get a place; aliases could make it grow
// without end.
const maxPlaces = 200_000

// locate reads where things are in the first document of data. next is the
// place of a second document with content.
func locate(file string, data []byte) (p places, next finding.Where) {
	p = places{file: file, values: map[string]*yaml.Node{}, keys: map[string]*yaml.Node{}}
	p.lines = strings.Split(string(data), "\n")
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if dec.Decode(&doc) == nil && len(doc.Content) == 1 {
		p.walk("", doc.Content[0], 0)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil && len(second.Content) == 1 && second.Content[0].Tag != "!!null" {
		next = p.where(second.Content[0])
		next.Text = ""
	} else if line := p.afterFirst(); err != nil && line > 0 {
		next = finding.Where{File: file, Line: line, Column: 1}
	}
	return p, next
}

// afterFirst is the line of what follows a document's end, where the parser
// cannot read it; 0 for nothing.
func (p *places) afterFirst() int {
	begun, ended := false, false
	for i, line := range p.lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "---") || strings.HasPrefix(line, "..."):
			ended = begun
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case ended:
			return i + 1
		default:
			begun = true
		}
	}
	return 0
}

func (p *places) walk(path string, n *yaml.Node, depth int) {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if depth > 12 || len(p.values) > maxPlaces {
		return
	}
	if _, seen := p.values[path]; seen && depth > 0 {
		return
	}
	p.values[path] = n
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			p.walk(path+"["+strconv.Itoa(i)+"]", item, depth+1)
		}
	case yaml.MappingNode:
		p.walkMapping(path, n, depth)
	}
}

func (p *places) walkMapping(path string, n *yaml.Node, depth int) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		child := strings.TrimPrefix(path+"."+key.Value, ".")
		if _, seen := p.values[child]; seen { // of two equal keys the last counts
			p.forget(child)
			p.twice = append(p.twice, keyAgain{child, key})
		}
		p.keys[child] = key
		p.walk(child, value, depth+1)
	}
	for _, m := range merged {
		for m.Kind == yaml.AliasNode && m.Alias != nil {
			m = m.Alias
		}
		for i := 0; m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
			child := strings.TrimPrefix(path+"."+m.Content[i].Value, ".")
			if _, seen := p.values[child]; !seen {
				p.keys[child] = m.Content[i]
				p.walk(child, m.Content[i+1], depth+1)
			}
		}
	}
}

func (p *places) forget(path string) {
	for k := range p.values {
		if k == path || strings.HasPrefix(k, path+".") || strings.HasPrefix(k, path+"[") {
			delete(p.values, k)
		}
	}
}

// value is where a value stands.
func (p *places) value(path string) (finding.Where, bool) {
	n, ok := p.values[path]
	if !ok {
		return finding.Where{File: p.file}, false
	}
	w := p.where(n)
	if safePath(path) {
		w.Text = p.line(n.Line)
	}
	return w, true
}

// key is where a key stands, with its name and nothing of its value.
func (p *places) key(path string) (finding.Where, bool) {
	n, ok := p.keys[path]
	if !ok {
		return finding.Where{File: p.file}, false
	}
	w := p.where(n)
	w.Text = shown(n.Value) + ":"
	return w, true
}

func (p *places) where(n *yaml.Node) finding.Where {
	return finding.Where{File: p.file, Line: n.Line, Column: n.Column}
}

func (p *places) line(n int) string {
	if n < 1 || n > len(p.lines) {
		return ""
	}
	return shown(strings.TrimSpace(p.lines[n-1]))
}

// safePath tells whether the line of a value can be shown: it holds no variable,
// no argument and no part of a provider in flow style, which may hold both.
func safePath(path string) bool {
	rest := path
	if strings.HasPrefix(path, "providers[") {
		_, rest, _ = strings.Cut(path, "]")
		rest = strings.TrimPrefix(rest, ".")
	}
	field, _, _ := strings.Cut(rest, "[")
	field, _, _ = strings.Cut(field, ".")
	switch field {
	case "", "name", "matchImages", "defaultCacheDuration", "apiVersion", "kind", "tokenAttributes":
		return true
	}
	return false
}

// shown is a text of somebody's file as it may be shown: a password in a URL is
// taken out, and a long line cut.
func shown(s string) string {
	if secretKey().MatchString(s) {
		return "" // a provider in flow style, arguments and variables on the line
	}
	s = userinfo().ReplaceAllString(s, "$1***@")
	const limit = 200
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}

package iammap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"go.yaml.in/yaml/v3"
)

// configMap reads aws-auth, or a ConfigMap that holds the server's config
// file, as the deployment of aws-iam-authenticator does.
func (f *file) configMap(d document) {
	data := get(d.node, "data")
	for _, p := range pairs(data) {
		if isText(p.value) && strings.HasSuffix(p.key.Value, ".yaml") && strings.Contains(p.value.Value, "server:") {
			f.nestedConfig(d, p)
		}
	}
	name, namespace := metadata(d.node)
	if !isAuthData(data) && (name != "aws-auth" || len(pairs(data)) == 0) {
		if name == "aws-auth" {
			f.reader(AWSAuth, d.at)
		}
		return
	}
	f.authData(d.with(data))
	src := f.source(AWSAuth)
	place := d.at(d.node.Line, d.node.Column)
	switch {
	case name != "" && name != "aws-auth":
		q := src.fault("KC417", "ConfigMap "+name, "only the ConfigMap aws-auth in namespace kube-system is read", place)
		q.Fix.Summary = "Name it aws-auth."
	case namespace != "" && namespace != "kube-system":
		q := src.fault("KC417", "ConfigMap "+namespace+"/aws-auth", "only the ConfigMap aws-auth in namespace kube-system is read", place)
		q.Fix.Summary = "Put it into namespace kube-system."
	case name == "aws-auth" && namespace == "":
		q := src.fault("KC417", "ConfigMap aws-auth", "it names no namespace, and only kube-system's is read", place)
		q.Severity = finding.Warning
		q.Fix.Summary = "Write namespace: kube-system into its metadata."
	}
}

func metadata(node *yaml.Node) (name, namespace string) {
	m := get(node, "metadata")
	if v := get(m, "name"); v != nil {
		name = v.Value
	}
	if v := get(m, "namespace"); v != nil {
		namespace = v.Value
	}
	return name, namespace
}

func (f *file) nestedConfig(d document, p pair) {
	at := inside(d.lines, p.value, d.at)
	lines := splitLines(p.value.Value)
	docs, err := parse(p.value.Value)
	if err != nil {
		f.reader(ConfigFile, at).unreadable(p.key.Value, lines, err)
		return
	}
	for _, node := range docs {
		if node.Kind == yaml.MappingNode {
			f.configFile(document{node: node, lines: lines, at: at})
		}
	}
}

// authData reads the data of an aws-auth ConfigMap: three texts of YAML.
func (f *file) authData(d document) {
	r := f.reader(AWSAuth, d.at)
	seen := map[string]Pos{}
	for _, p := range pairs(d.node) {
		key := p.key.Value
		if !slices.Contains(sections, key) {
			meant, how := closest(key, sections)
			if meant == "" {
				continue
			}
			q := r.src.fault("KC403", "data", fmt.Sprintf("key %q is not read: %s, it must be %s", key, how, meant), r.pos(p.key))
			q.Fix.Summary = "Rename the key to " + meant + "."
			if p.value != nil {
				r.buried(d.lines[min(p.key.Line, len(d.lines)):endOf(d.lines, p.key)], how+": its list stands under "+key+", which must be "+meant)
			}
			continue
		}
		if before, twice := seen[key]; twice {
			q := r.src.fault("KC410", "data", fmt.Sprintf("duplicate key %s: it stands twice, and the last one counts alone", key), r.pos(p.key))
			q.Fix.Summary = "Join the two lists under one key."
			q.Details = []string{fmt.Sprintf("the first is in line %d", before.Line)}
			r.forget(key)
		}
		seen[key] = r.pos(p.key)
		r.section(key, p.value, d)
	}
}

// endOf is the line (from 1) at which the value of a key ends: the next line
// that is indented no deeper than the key.
func endOf(lines []string, key *yaml.Node) int {
	i := key.Line
	for i < len(lines) {
		l := lines[i]
		if strings.TrimSpace(l) != "" && len(l)-len(strings.TrimLeft(l, " ")) < key.Column {
			break
		}
		i++
	}
	return max(i, min(key.Line, len(lines)))
}

// forget drops what a key gave that stands again later.
func (r *reader) forget(section string) {
	r.src.Entries = slices.DeleteFunc(r.src.Entries, func(e Entry) bool { return e.Section == section })
}

// section reads one text of the ConfigMap.
func (r *reader) section(key string, value *yaml.Node, d document) {
	if !isText(value) {
		if isNull(value) {
			return
		}
		q := r.src.fault("KC415", key, fmt.Sprintf("%s is %s where a text belongs: the API server refuses such a ConfigMap", key, describe(value)), r.pos(value))
		q.Fatal = true
		q.Fix.Summary = "Put a | after " + key + ": so that what follows is a text."
		if value.Kind == yaml.SequenceNode {
			r.buried(d.lines[min(value.Line-1, len(d.lines)):endOf(d.lines, value)], "kind: "+key+" is a list where a text belongs (a | is missing)")
		}
		return
	}
	text := value.Value
	if t := strings.TrimSpace(text); t == "" || t == "``" || t == `""` || t == "''" {
		return
	}
	inner := &reader{src: r.src, at: inside(d.lines, value, d.at), strict: true}
	lines := splitLines(text)
	if json.Valid([]byte(text)) {
		q := r.src.fault("KC415", key, key+" is JSON text where YAML is expected: the server reads it, but tools that edit aws-auth rewrite or refuse it", inner.at(1, 1))
		q.Severity = finding.Warning
		q.Fix.Summary = "Write the list as YAML, one entry after each dash."
		text = strings.ReplaceAll(text, "\t", " ")
	}
	docs, err := parse(text)
	switch {
	case err != nil:
		inner.unreadable(key, lines, err)
		return
	case len(docs) == 0:
		return
	case len(docs) > 1:
		q := r.src.fault("KC415", key, key+" holds several YAML documents, and only the first is read", inner.at(docs[1].Line, 1))
		q.Fix.Summary = "Remove the --- line."
	}
	if key == "mapAccounts" {
		inner.accounts(docs[0])
		return
	}
	inner.list(key, docs[0])
}

// parse reads the documents of a YAML text.
func parse(s string) ([]*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(s))
	var out []*yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(doc.Content) > 0 {
			out = append(out, doc.Content[0])
		}
	}
}

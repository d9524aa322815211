package iammap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxSize bounds a source, in bytes. A ConfigMap can hold 1 MiB; ten thousand
// entries of a config file come to about 2 MiB.
const MaxSize = 32 << 20

// ErrUnknownFormat is returned, wrapped, for a text with no mappings in it.
var ErrUnknownFormat = errors.New("no IAM mappings in it: give an aws-auth ConfigMap, a config file of aws-iam-authenticator, IAMIdentityMapping objects, a dynamic mapping file, or access entries as the aws CLI prints them")

// Read decodes a text in any of the known formats. A file may hold several
// documents; what it maps comes back as one Source for each format in it, in
// the order of their first appearance. Every fault that a part of the text can
// have without hiding all of it is in the Faults of a Source; the error is for
// a text that holds no mappings at all.
func Read(name string, data []byte) ([]*Source, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%s: more than %d MiB of mappings", name, MaxSize>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s: not UTF-8 text", name)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s: it is empty", name)
	}
	f := &file{name: name, lines: splitLines(string(data))}
	for _, part := range split(data) {
		f.part(part)
	}
	if len(f.sources) == 0 {
		return nil, fmt.Errorf("%s: %w", name, ErrUnknownFormat)
	}
	return f.sources, nil
}

// file gathers the sources of one file.
type file struct {
	name    string
	lines   []string
	sources []*Source
}

// source returns the file's source of a format, making it where there is none.
func (f *file) source(format Format) *Source {
	for _, s := range f.sources {
		if s.Format == format {
			return s
		}
	}
	s := &Source{Name: f.name, Format: format, Reserved: map[Format][]string{}, lines: f.lines}
	f.sources = append(f.sources, s)
	return s
}

func (f *file) reader(format Format, at place) *reader {
	return &reader{src: f.source(format), at: at, strict: format == AWSAuth, weak: format == ConfigFile}
}

// text is a part of a file: a stream of YAML documents, or one JSON value.
type text struct {
	data   []byte
	json   bool
	line   int // of its first character, from 0
	column int
}

func (t text) at(line, column int) Pos {
	if line == 1 {
		column += t.column
	}
	return Pos{line + t.line, column}
}

// split takes JSON values that follow each other apart, as a shell loop over
// `aws eks describe-access-entry` prints them. Anything else is one part.
func split(data []byte) []text {
	trimmed := bytes.TrimSpace(data)
	if trimmed[0] != '{' && trimmed[0] != '[' {
		return []text{{data: data}}
	}
	var parts []text
	dec := json.NewDecoder(bytes.NewReader(data))
	line, last := 0, 0
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			return []text{{data: data}}
		}
		start := int(dec.InputOffset()) - len(raw)
		line += bytes.Count(data[last:start], []byte("\n"))
		last = start
		column := utf8.RuneCount(data[bytes.LastIndexByte(data[:start], '\n')+1 : start])
		parts = append(parts, text{data: raw, json: true, line: line, column: column})
	}
}

// part decodes a part of the file into its documents.
func (f *file) part(t text) {
	if t.json {
		// JSON holds tabs only between its tokens, where YAML's parser refuses
		// some of them.
		t.data = bytes.ReplaceAll(t.data, []byte("\t"), []byte(" "))
	}
	lines := splitLines(string(t.data))
	dec := yaml.NewDecoder(bytes.NewReader(t.data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			if format, what := guess(string(t.data)); format != "" {
				f.reader(format, t.at).unreadable(what, lines, err)
			}
			return
		}
		if len(doc.Content) > 0 {
			f.document(document{doc.Content[0], lines, t.at, t.json}, 0)
		}
	}
}

// guess tells what a text that does not parse was meant to be.
func guess(s string) (Format, string) {
	has := func(word string) bool { return strings.Contains(s, word) }
	switch {
	case has("IAMIdentityMapping"):
		return CRD, "the manifest"
	case has("ConfigMap") || has("mapRoles: |") || has("mapUsers: |"):
		return AWSAuth, "the ConfigMap"
	case has("accessEntr") || has("principalArn"):
		return AccessEntries, "the list of access entries"
	case has("mapRoles") || has("mapUsers") || has("mapAccounts"):
		return ConfigFile, "the file"
	case has("rolearn") || has("userarn"):
		return AWSAuth, "the list"
	}
	return "", ""
}

// document is one parsed document with what its positions need.
type document struct {
	node  *yaml.Node
	lines []string
	at    place
	json  bool
}

func (d document) with(node *yaml.Node) document { d.node = follow(node); return d }

// maxNesting bounds lists of lists of objects.
const maxNesting = 8

// document sends a document to the reader of its format. What is none of them
// is left alone: a manifest holds other objects too.
func (f *file) document(d document, depth int) {
	if d.node == nil || depth > maxNesting {
		return
	}
	if d.node.Kind == yaml.SequenceNode {
		f.listOf(d, depth)
		return
	}
	if d.node.Kind != yaml.MappingNode {
		return
	}
	has := func(key string) bool { return get(d.node, key) != nil }
	kind := ""
	if k := get(d.node, "kind"); k != nil {
		kind = k.Value
	}
	switch {
	case kind == "ConfigMap":
		f.configMap(d)
	case kind == "IAMIdentityMapping":
		f.identityMapping(d)
	case strings.HasSuffix(kind, "List"):
		if items := get(d.node, "items"); items != nil && items.Kind == yaml.SequenceNode {
			for _, item := range items.Content {
				f.listItem(d.with(item), strings.TrimSuffix(kind, "List"), depth)
			}
		}
	case kind != "":
	case has("accessEntry") || has("accessEntries") || has("principalArn") || has("associatedAccessPolicies"):
		f.accessEntries(d)
	case getFold(d.node, "server") != nil || getFold(d.node, "clusterID") != nil:
		f.configFile(d)
	case has("data") && isAuthData(get(d.node, "data")):
		f.authData(d.with(get(d.node, "data")))
	case isAuthData(d.node) && textual(d.node):
		f.authData(d)
	case isAuthData(d.node) && d.json:
		f.dynamicFile(d)
	case isAuthData(d.node):
		f.mappingLists(d, f.reader(ConfigFile, d.at))
	}
}

// listItem is an item of a List; in a typed list the items need not repeat
// their kind.
func (f *file) listItem(d document, kind string, depth int) {
	switch {
	case get(d.node, "kind") != nil || kind == "":
		f.document(d, depth+1)
	case kind == "ConfigMap":
		f.configMap(d)
	case kind == "IAMIdentityMapping":
		f.identityMapping(d)
	}
}

// listOf is a document that is a list: of documents, or of the entries of
// mapRoles and mapUsers with nothing around them.
func (f *file) listOf(d document, depth int) {
	section := ""
	for _, item := range d.node.Content {
		for _, p := range pairs(follow(item)) {
			switch key := strings.ToLower(strings.TrimPrefix(p.key.Value, "-")); {
			case section != "":
			case key == "userarn":
				section = "mapUsers"
			case key == "rolearn" || key == "sso" || key == "role_arn":
				section = "mapRoles"
			}
		}
	}
	if section != "" {
		f.reader(AWSAuth, d.at).list(section, d.node)
		return
	}
	for _, item := range d.node.Content {
		f.document(d.with(item), depth+1)
	}
}

// sections are the keys that hold mappings.
var sections = []string{"mapRoles", "mapUsers", "mapAccounts"}

func isAuthData(node *yaml.Node) bool {
	for _, p := range pairs(node) {
		for _, s := range sections {
			if strings.EqualFold(p.key.Value, s) {
				return true
			}
		}
	}
	return false
}

// textual tells whether the sections hold texts, as in a ConfigMap.
func textual(node *yaml.Node) bool {
	for _, s := range sections {
		if v := getFold(node, s); isText(v) {
			return true
		}
	}
	return false
}

package imagecred

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// salvage reads what can be read of a document that the kubelet refuses, so that
// its other faults are found in the same run.
func (p *places) salvage() credentialProviderConfig {
	c := credentialProviderConfig{APIVersion: p.text("apiVersion"), Kind: p.text("kind")}
	for i := 0; ; i++ {
		path := fmt.Sprintf("providers[%d]", i)
		if _, ok := p.values[path]; !ok {
			return c
		}
		w := CredentialProvider{
			Name: p.text(path + ".name"), APIVersion: p.text(path + ".apiVersion"),
			MatchImages: p.texts(path + ".matchImages"), Args: p.texts(path + ".args"),
		}
		if n, ok := p.values[path+".defaultCacheDuration"]; ok && n.Tag != "!!null" {
			d, _ := time.ParseDuration(n.Value)
			w.DefaultCacheDuration = &duration{d}
		}
		if n, ok := p.values[path+".tokenAttributes"]; ok && n.Kind == yaml.MappingNode {
			at := path + ".tokenAttributes"
			t := &ServiceAccountTokenAttributes{
				ServiceAccountTokenAudience: p.text(at + ".serviceAccountTokenAudience"), CacheType: p.text(at + ".cacheType"),
				RequiredServiceAccountAnnotationKeys: p.texts(at + ".requiredServiceAccountAnnotationKeys"),
				OptionalServiceAccountAnnotationKeys: p.texts(at + ".optionalServiceAccountAnnotationKeys"),
			}
			if n, ok := p.values[at+".requireServiceAccount"]; ok {
				required := n.Value == "true"
				t.RequireServiceAccount = &required
			}
			w.TokenAttributes = t
		}
		c.Providers = append(c.Providers, w)
	}
}

func (p *places) text(path string) string {
	if n, ok := p.values[path]; ok && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

func (p *places) texts(path string) []string {
	var out []string
	for i := 0; ; i++ {
		item := path + "[" + strconv.Itoa(i) + "]"
		if _, ok := p.values[item]; !ok {
			return out
		}
		out = append(out, p.text(item))
	}
}

// typeFault is a value whose type the decoder does not take.
type typeFault struct {
	subject, message, fix string
	where                 finding.Where
}

// shapes are the types of the fields, by path.
var shapes = []struct{ path, want string }{
	{"providers", "list"},
	{"providers[]", "mapping"},
	{"providers[].name", "text"},
	{"providers[].apiVersion", "text"},
	{"providers[].matchImages", "list"},
	{"providers[].matchImages[]", "text"},
	{"providers[].args", "list"},
	{"providers[].args[]", "text"},
	{"providers[].env", "list"},
	{"providers[].env[]", "mapping"},
	{"providers[].env[].name", "text"},
	{"providers[].env[].value", "text"},
	{"providers[].defaultCacheDuration", "duration"},
	{"providers[].tokenAttributes", "mapping"},
	{"providers[].tokenAttributes.serviceAccountTokenAudience", "text"},
	{"providers[].tokenAttributes.cacheType", "text"},
	{"providers[].tokenAttributes.requireServiceAccount", "boolean"},
	{"providers[].tokenAttributes.requiredServiceAccountAnnotationKeys", "list"},
	{"providers[].tokenAttributes.requiredServiceAccountAnnotationKeys[]", "text"},
	{"providers[].tokenAttributes.optionalServiceAccountAnnotationKeys", "list"},
	{"providers[].tokenAttributes.optionalServiceAccountAnnotationKeys[]", "text"},
}

// typeFaults finds the values that have the wrong type, in the order of the file.
func (p *places) typeFaults() []typeFault {
	var out []typeFault
	for path, n := range p.values {
		shape := indexes().ReplaceAllString(path, "[]")
		for _, s := range shapes {
			if s.path != shape {
				continue
			}
			if f, bad := judgeType(s.want, n); bad {
				f.where, _ = p.value(path)
				f.subject = path
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(a, b typeFault) int {
		if a.where.Line != b.where.Line {
			return a.where.Line - b.where.Line
		}
		return a.where.Column - b.where.Column
	})
	return out
}

// yaml11Bool are the words that YAML 1.1, which the kubelet reads, takes for a
// boolean.
var yaml11Bool = lazyexp.New(`^(?i:y|n|yes|no|on|off|true|false)$`)

func judgeType(want string, n *yaml.Node) (typeFault, bool) {
	have := typeOf(n)
	if have == want || have == "nothing" {
		return typeFault{}, false
	}
	f := typeFault{message: fmt.Sprintf("is a %s, and the kubelet wants a %s", have, want)}
	switch want {
	case "text":
		if have == "number" || have == "boolean" {
			f.fix = "put it between quotes"
		}
		return f, true
	case "duration":
		switch have {
		case "text":
			if _, err := time.ParseDuration(n.Value); err == nil {
				return f, false
			}
			f.message = "the duration cannot be read: " + quote(n.Value)
			f.fix = `write a number with a unit, such as "12h", "10m" or "0s"`
			if _, err := strconv.ParseFloat(n.Value, 64); err == nil {
				f.message = "the duration " + quote(n.Value) + " has no unit"
			}
		case "number":
			f.message = "is a number, and the kubelet wants a duration with a unit"
			f.fix = fmt.Sprintf(`write "%ss", "%sm" or "%sh", whichever is meant`, n.Value, n.Value, n.Value)
		}
		return f, true
	case "list":
		if have == "text" {
			f.fix = "write it as a list: a line of its own that begins with a hyphen"
		}
	}
	return f, true
}

func typeOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "list"
	case yaml.MappingNode:
		return "mapping"
	}
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch {
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!bool", n.Tag == "!!str" && plain && yaml11Bool().MatchString(n.Value):
		return "boolean"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "number"
	}
	return "text"
}

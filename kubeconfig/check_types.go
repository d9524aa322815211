package kubeconfig

import (
	"encoding/base64"
	"fmt"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// shape is what a client's decoder wants at a place, as
// k8s.io/client-go tools/clientcmd/api/v1/types.go has it.
type shape struct {
	kind   jsonType
	bytes  bool // base64
	goName string
	fields map[string]*shape // of an object with fixed keys
	elem   *shape            // of a list, or of a mapping with free keys
}

var (
	anything    = (*shape)(nil)
	textShape   = &shape{kind: typeString}
	bytesShape  = &shape{kind: typeString, bytes: true}
	boolShape   = &shape{kind: typeBool}
	textsShape  = listOf(textShape)
	textMap     = &shape{kind: typeObject, elem: textShape}
	extensions  = listOf(object("NamedExtension", map[string]*shape{"name": textShape, "extension": anything}))
	configShape = object("Config", map[string]*shape{
		"kind": textShape, "apiVersion": textShape, "current-context": textShape, "extensions": extensions,
		"preferences": object("Preferences", map[string]*shape{"colors": boolShape, "extensions": extensions}),
		"clusters": listOf(object("NamedCluster", map[string]*shape{"name": textShape, "cluster": object("Cluster", map[string]*shape{
			"server": textShape, "tls-server-name": textShape, "insecure-skip-tls-verify": boolShape,
			"certificate-authority": textShape, "certificate-authority-data": bytesShape,
			"proxy-url": textShape, "disable-compression": boolShape, "extensions": extensions,
		})})),
		"contexts": listOf(object("NamedContext", map[string]*shape{"name": textShape, "context": object("Context", map[string]*shape{
			"cluster": textShape, "user": textShape, "namespace": textShape, "extensions": extensions,
		})})),
		"users": listOf(object("NamedAuthInfo", map[string]*shape{"name": textShape, "user": object("AuthInfo", map[string]*shape{
			"client-certificate": textShape, "client-certificate-data": bytesShape,
			"client-key": textShape, "client-key-data": bytesShape,
			"token": textShape, "tokenFile": textShape,
			"as": textShape, "as-uid": textShape, "as-groups": textsShape,
			"as-user-extra": {kind: typeObject, elem: textsShape},
			"username":      textShape, "password": textShape,
			"auth-provider": object("AuthProviderConfig", map[string]*shape{"name": textShape, "config": textMap}),
			"exec": object("ExecConfig", map[string]*shape{
				"command": textShape, "args": textsShape, "apiVersion": textShape, "installHint": textShape,
				"env":                listOf(object("ExecEnvVar", map[string]*shape{"name": textShape, "value": textShape})),
				"provideClusterInfo": boolShape, "interactiveMode": textShape,
			}),
			"extensions": extensions,
		})})),
	})
)

func object(name string, fields map[string]*shape) *shape {
	return &shape{kind: typeObject, goName: name, fields: fields}
}

func listOf(elem *shape) *shape { return &shape{kind: typeArray, elem: elem} }

// maxTypeFindings bounds what one file can say about types and keys.
const maxTypeFindings = 50

// types finds what the client's decoder refuses or ignores.
func (c *checker) types() {
	start := len(c.out)
	c.shape(c.f.root, configShape, trail{}, start)
	for _, k := range c.f.badKeys() {
		f := c.add("KC125", "the file", place(k.node), "%s: clients refuse the whole file", k.reason)
		f.Fix = finding.Fix{Summary: "write a text there, in quotes if need be"}
	}
	for _, d := range c.f.duplicates() {
		f := c.add("KC126", "key "+quoted(d.name), place(d.key), "given twice in one mapping: clients use the last one and drop the first")
		f.Fix = finding.Fix{Summary: "take one of them away"}
		if len(c.out)-start > 2*maxTypeFindings {
			break
		}
	}
}

// trail is the way to a value: "users[2].user.exec.args[0]".
type trail struct{ text string }

func (p trail) key(name string) trail {
	if p.text == "" {
		return trail{text: name}
	}
	return trail{text: p.text + "." + name}
}

func (p trail) index(i int) trail { return trail{text: fmt.Sprintf("%s[%d]", p.text, i)} }

func (c *checker) shape(n *yaml.Node, want *shape, at trail, start int) {
	if want == anything || len(c.out)-start > maxTypeFindings {
		return
	}
	got := typeOf(n)
	if got == typeNull {
		return // a client leaves the field empty
	}
	if got != want.kind {
		c.wrongType(n, got, want, at)
		return
	}
	switch {
	case want.bytes:
		c.base64(follow(n), n, at)
	case want.kind == typeArray:
		for i, e := range follow(n).Content {
			c.shape(e, want.elem, at.index(i), start)
		}
	case want.kind == typeObject && want.fields != nil:
		for _, p := range pairs(n) {
			if next, ok := want.fields[p.name]; ok {
				c.shape(p.value, next, at.key(p.name), start)
			} else {
				c.unknownKey(p, want, at)
			}
		}
	case want.kind == typeObject:
		for _, p := range pairs(n) {
			c.shape(p.value, want.elem, at.key(p.name), start)
		}
	}
}

// wrongType: a client refuses the whole file.
func (c *checker) wrongType(n *yaml.Node, got jsonType, want *shape, at trail) {
	r := follow(n)
	message := fmt.Sprintf("%s, where clients want %s: they refuse the whole file", article(got), article(want.kind))
	f := c.add("KC125", at.text, place(n), "")
	f.Details = []string{fmt.Sprintf("a client says: json: cannot unmarshal %s into Go struct field ... of type %s", got, goType(want))}
	switch {
	case want.kind == typeString && (got == typeBool || got == typeNumber):
		shown := r.Value
		if c.mayBeSecret(at) {
			shown = "the value"
		}
		message = fmt.Sprintf("%s without quotes is %s (YAML 1.1), where clients want a string: they refuse the whole file", shown, article(got))
		f.Fix = finding.Fix{Summary: "put quotes around it"}
		if shown == r.Value {
			f.Fix.Summary = fmt.Sprintf("put quotes around it: %s", quote(r.Value))
		}
	case want.kind == typeArray && want.elem == textShape:
		f.Fix = finding.Fix{Summary: "write a list, one entry a word: - first, - second"}
	case want.kind == typeArray && strings.HasSuffix(at.text, ".env"):
		f.Fix = finding.Fix{Summary: "write a list of name and value: - name: AWS_PROFILE, value: prod"}
	case want.kind == typeBool:
		f.Fix = finding.Fix{Summary: "write true or false, without quotes"}
	default:
		f.Fix = finding.Fix{Summary: "write " + article(want.kind) + " there"}
	}
	f.Message = message
}

// mayBeSecret tells paths whose values are never shown.
func (c *checker) mayBeSecret(at trail) bool {
	last := at.text[strings.LastIndexByte(at.text, '.')+1:]
	return isSecretName(last) || last == "value" || strings.HasPrefix(last, "args[") || strings.Contains(at.text, "auth-provider") || last == "client-key-data"
}

func goType(s *shape) string {
	switch {
	case s.bytes:
		return "[]uint8"
	case s.goName != "":
		return "v1." + s.goName
	case s.kind == typeArray && s.elem != nil && s.elem.kind == typeString:
		return "[]string"
	case s.kind == typeArray && s.elem != nil:
		return "[]v1." + s.elem.goName
	}
	return string(s.kind)
}

// base64 checks data as encoding/json does.
func (c *checker) base64(r, n *yaml.Node, at trail) {
	text := r.Value
	if text == "" {
		return
	}
	if strings.Contains(text, "DATA+OMITTED") || strings.Contains(text, "REDACTED") {
		return // named as a placeholder
	}
	if _, err := base64.StdEncoding.DecodeString(text); err == nil {
		return
	}
	f := c.add("KC132", at.text, place(n), "not base64, so clients refuse the whole file")
	f.Details = []string{"a client says: illegal base64 data at input byte N"}
	if strings.Contains(text, "-----BEGIN") {
		f.Message = "PEM text where base64 of it is wanted, so clients refuse the whole file"
		f.Fix = finding.Fix{Summary: "encode it: base64 -w0 < FILE"}
		return
	}
	f.Fix = finding.Fix{Summary: "copy it again, whole and on one line"}
}

// unknownKey: a client ignores it, so a slip of the pen goes unseen.
func (c *checker) unknownKey(p pair, want *shape, at trail) {
	names := make([]string, 0, len(want.fields))
	for name := range want.fields {
		names = append(names, name)
	}
	sort.Strings(names)
	near := nearest(p.name, names)
	if want == configShape && near == "" {
		return // anchors are kept under keys of one's own at the top level
	}
	f := c.add("KC126", strings.TrimPrefix(at.text+"."+p.name, "."), place(p.key), "no key that clients know: they ignore it")
	f.Severity = finding.Warning
	if near != "" {
		f.Message += "; " + near + " is meant"
		f.Fix = finding.Fix{Summary: "write " + near + ", letter by letter"}
	} else {
		f.Fix = finding.Fix{Summary: "take it away; known are " + strings.Join(names, ", ")}
	}
}

// nearest is the name that differs by case, dashes or one or two letters.
func nearest(s string, names []string) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
	}
	best, bestAt := "", 3
	for _, n := range names {
		if plain(n) == plain(s) {
			return n
		}
		if d := distance(plain(s), plain(n)); d < bestAt && d*3 < len(n) {
			best, bestAt = n, d
		}
	}
	return best
}

// distance is the number of letters to change, add or take away.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		left := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := left
			if a[i-1] != b[j-1] {
				cost++
			}
			left = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

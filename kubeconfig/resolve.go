package kubeconfig

import (
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// jsonType is the type that a value has once a client has turned the YAML into
// JSON.
type jsonType string

const (
	typeNull   jsonType = "null"
	typeBool   jsonType = "bool"
	typeNumber jsonType = "number"
	typeString jsonType = "string"
	typeArray  jsonType = "array"
	typeObject jsonType = "object"
)

// boolWords are the plain words that YAML 1.1 reads as booleans
// (https://yaml.org/type/bool.html), as go.yaml.in/yaml/v2 has them.
var boolWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range []string{"y", "yes", "true", "on"} {
		m[w], m[strings.ToUpper(w)], m[strings.ToUpper(w[:1])+w[1:]] = true, true, true
	}
	for _, w := range []string{"n", "no", "false", "off"} {
		m[w], m[strings.ToUpper(w)], m[strings.ToUpper(w[:1])+w[1:]] = false, false, false
	}
	return m
}()

var yamlFloat = lazyexp.New(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// scalarType is the type that a client gives a scalar, by the rules of
// go.yaml.in/yaml/v2 resolve.go, which sigs.k8s.io/yaml reads kubeconfigs with.
func scalarType(n *yaml.Node) jsonType {
	t, _ := scalarValue(n)
	return t
}

// scalarValue is a scalar as JSON has it: nil, bool, float64 or string.
func scalarValue(n *yaml.Node) (jsonType, any) {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return typeString, n.Value
	}
	tag := ""
	if n.Style&yaml.TaggedStyle != 0 {
		tag = n.Tag
	}
	switch tag {
	case "", "!!bool", "!!int", "!!float", "!!null":
	default: // !!str, !!binary, !!timestamp and unknown tags are texts
		return typeString, n.Value
	}
	v := n.Value
	switch v {
	case "", "~", "null", "Null", "NULL":
		return typeNull, nil
	}
	if b, ok := boolWords[v]; ok {
		return typeBool, b
	}
	if number, ok := yamlNumber(v); ok {
		return typeNumber, number
	}
	return typeString, v
}

func yamlNumber(v string) (float64, bool) {
	switch v {
	case ".nan", ".NaN", ".NAN":
		return math.NaN(), true
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1), true
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1), true
	}
	c := v[0]
	switch {
	case c == '.':
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	case c != '+' && c != '-' && (c < '0' || c > '9'):
		return 0, false
	}
	if isTimestamp(v) {
		return 0, false
	}
	plain := strings.ReplaceAll(v, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return float64(i), true
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return float64(u), true
	}
	if yamlFloat().MatchString(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return f, true
		}
	}
	return 0, false
}

// isTimestamp tells the texts that YAML takes as dates; JSON gets them as texts.
func isTimestamp(v string) bool {
	if len(v) < 6 || v[4] != '-' {
		return false
	}
	for _, layout := range []string{
		"2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00",
		"2006-1-2 15:4:5.999999999", "2006-1-2",
	} {
		if _, err := time.Parse(layout, v); err == nil {
			return true
		}
	}
	return false
}

// typeOf is the JSON type of a node, aliases followed.
func typeOf(n *yaml.Node) jsonType {
	switch n = follow(n); n.Kind {
	case yaml.MappingNode:
		return typeObject
	case yaml.SequenceNode:
		return typeArray
	}
	return scalarType(n)
}

func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

package report

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// facts writes a finding's evidence as lines of a name and a text: nested maps
// get names with dots, lists of plain values are joined.
func facts(evidence map[string]any) []fact {
	var out []fact
	addFact(&out, "", evidence, 0)
	return out
}

// The bounds of what a page shows of a finding's evidence; JSON has all of it.
const (
	maxDepth = 4
	maxFacts = 60
	maxText  = 2000
)

func addFact(out *[]fact, name string, value any, depth int) {
	if len(*out) >= maxFacts {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if depth < maxDepth {
			for _, k := range slices.Sorted(maps.Keys(v)) {
				full := k
				if name != "" {
					full = name + "." + k
				}
				addFact(out, full, v[k], depth+1)
			}
			return
		}
	case []any:
		if nested := slices.ContainsFunc(v, func(e any) bool {
			switch e.(type) {
			case map[string]any, []any:
				return true
			}
			return false
		}); nested && depth < maxDepth {
			for i, e := range v {
				full := name
				if len(v) > 1 {
					full = name + " " + plain(float64(i+1))
				}
				addFact(out, full, e, depth+1)
			}
			return
		}
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = plain(e)
		}
		value = strings.Join(texts, ", ")
	}
	if s := plain(value); s != "" {
		*out = append(*out, fact{clean(name), s})
	}
}

// plain writes one value as a person would read it; "" for nothing.
func plain(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		s = v
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		s = string(data)
	}
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + "..."
	}
	return clean(s)
}

//go:build unix

package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A config is made as a tree whose scalars are raw YAML, so that each may be
// written in any way, sane or not.
type (
	scalar string
	list   []any
	object []member
	member struct {
		key   string
		value any
	}
)

// oddScalars are what people, and YAML, put where something else should be.
var oddScalars = []scalar{
	"null", "~", `""`, "''", "[]", "{}", "0", "1", "-1", "10", "1.5", "1e3", "0x10", "0o17", "017", "1_000", "yes", "no", "on", "off", "n", "true", "false", `"true"`,
	`"10"`, `"10m"`, "10m", "1h0m", `"-5m"`, `"0"`, `"0s"`, `"1d"`, `"1h30"`, `" 10m"`, `".5h"`, `"+1h"`, `"9999999h"`, `"10µs"`, ".inf", ".nan", "2001-01-01", "12:30:00",
	"!!str 1", "!!binary aGVsbG8=", "&x a", "*x", "|\n    text", ">-\n    text", "a: b", "[a", "{a: b}", "[[a]]", "- a", "'it''s'", `"\u00e9"`, `"\x41"`, "é", "@at", "`tick`", "%pc", "a #c", "? a", "=", "<<",
}

func newConfig(r *rand.Rand) string {
	faults := pick(r, 0, 0, 0, 2, 5, 10) // percent for each place
	tree := object{
		{"apiVersion", some(r, faults, "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1")},
		{"kind", some(r, faults, "CredentialProviderConfig")},
	}
	if chance(r, faults) {
		tree[0].value = pick[any](r, scalar("v1"), scalar("kubelet.config.k8s.io/v2"), scalar("credentialprovider.kubelet.k8s.io/v1"), scalar("kubelet.config.k8s.io"), scalar("/v1"), scalar("a/b/c"))
	}
	if chance(r, faults) {
		tree[1].value = pick[any](r, scalar("KubeletConfiguration"), scalar("credentialProviderConfig"), scalar("CredentialProviderRequest"), scalar("List"))
	}
	var providers list
	for i := range pick(r, 1, 1, 1, 2, 3) {
		providers = append(providers, newProvider(r, i, faults))
	}
	tree = append(tree, member{"providers", providers})
	if chance(r, faults) {
		tree[2].value = pick[any](r, list{}, scalar("null"), scalar("x"), object{}, list{scalar("null")}, list{scalar("a")})
	}
	tree = spoil(r, tree, faults)
	var text string
	switch r.IntN(4) {
	case 0:
		text = flow(tree)
	case 1:
		text = flow(tree) + "\n"
	default:
		text = block(tree, "")
	}
	if chance(r, faults*4) {
		text = spoilText(r, text)
	}
	return text
}

func newProvider(r *rand.Rand, i, faults int) object {
	name := pick(r, "ecr-credential-provider", "acr", "gcp", "lab")
	if !chance(r, faults) {
		name = fmt.Sprint(name, "-", i)
	}
	if chance(r, faults) {
		name = pick(r, "a/b", `"a b"`, ".", "..", "...", `""`, "a.exe", "ä", `"a\tb"`, "/bin/true", "A")
	}
	var images list
	for range pick(r, 1, 1, 2, 3) {
		host := newHost(r)
		if strings.HasPrefix(host, "[") || chance(r, 90) {
			host = pick(r, "*.dkr.ecr.*.amazonaws.com", "registry.io:8080/path", "*.azurecr.io", "gcr.io", "public.ecr.aws")
		}
		pattern := host
		if chance(r, faults*2) {
			pattern = patternFor(r, host, newPath(r))
		}
		images = append(images, scalar(quoted(pattern)))
	}
	p := object{
		{"name", some(r, faults, name)},
		{"matchImages", images},
		{"defaultCacheDuration", some(r, faults, `"12h"`, `"10m"`, `"0s"`, `"0"`, `"1h30m5.5s"`, "5m")},
		{"apiVersion", some(r, faults, "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1", "credentialprovider.kubelet.k8s.io/v1alpha1")},
	}
	if chance(r, faults) {
		p[3].value = pick[any](r, scalar("v1"), scalar("kubelet.config.k8s.io/v1"), scalar("credentialprovider.kubelet.k8s.io/v2"), scalar(`" credentialprovider.kubelet.k8s.io/v1"`))
	}
	if chance(r, 30) {
		p = append(p, member{"args", list{some(r, faults, "get-credentials"), some(r, faults, "--v=3")}})
	}
	if chance(r, 30) {
		p = append(p, member{"env", list{spoil(r, object{{"name", some(r, faults, "AWS_PROFILE")}, {"value", some(r, faults, "x", `"1"`, `""`)}}, faults)}})
	}
	if chance(r, 30) {
		p = append(p, member{"tokenAttributes", newTokenAttributes(r, faults)})
		p[3].value = some(r, faults, "credentialprovider.kubelet.k8s.io/v1")
	}
	r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	return spoil(r, p, faults)
}

func newTokenAttributes(r *rand.Rand, faults int) object {
	keys := func() any {
		var l list
		for range r.IntN(3) {
			l = append(l, some(r, faults, "eks.amazonaws.com/ecr-role-arn", "a/b", "domain.io/identity-id", "Upper.Case/Key", "plain"))
		}
		if chance(r, faults*2) {
			l = append(l, pick[any](r, scalar("a/b/c"), scalar("-a"), scalar(`""`), scalar("a_b."), scalar(strings.Repeat("x", 64)), scalar("a/b")))
		}
		return l
	}
	t := object{
		{"serviceAccountTokenAudience", some(r, faults, "sts.amazonaws.com", "registry")},
		{"cacheType", some(r, faults, "Token", "ServiceAccount", "ServiceAccount")},
		{"requireServiceAccount", some(r, faults, "true", "true", "true", "false")},
	}
	if chance(r, faults) {
		t[1].value = pick[any](r, scalar("token"), scalar("Image"), scalar("None"))
	}
	if chance(r, 40) {
		t = append(t, member{"requiredServiceAccountAnnotationKeys", keys()})
	}
	if chance(r, 40) {
		t = append(t, member{"optionalServiceAccountAnnotationKeys", keys()})
	}
	return spoil(r, t, faults)
}

// some is one of the sane values, or now and then an odd one.
func some(r *rand.Rand, faults int, sane ...string) any {
	if chance(r, faults) {
		return pick(r, oddScalars...)
	}
	return scalar(pick(r, sane...))
}

// spoil takes members out, doubles them, or spells their names in other ways.
func spoil(r *rand.Rand, o object, faults int) object {
	o = slices.Clone(o)
	for i := 0; i < len(o); i++ {
		if !chance(r, faults) {
			continue
		}
		switch r.IntN(6) {
		case 0:
			o = slices.Delete(o, i, i+1)
		case 1:
			o = append(o, o[i])
		case 2:
			o[i].key = strings.ToUpper(o[i].key[:1]) + o[i].key[1:]
		case 3:
			o[i].key += pick(r, "s", "x", "_", " ")
		case 4:
			o = append(o, member{pick(r, "comment", "x-note", "matchimages", "tokenAttribute", "metadata", "1", "true", `""`), pick(r, oddScalars...)})
		case 5:
			o[i].value = pick(r, oddScalars...)
		}
	}
	return o
}

func quoted(s string) string {
	if strings.ContainsAny(s, "*&!%@`#{}[],'\"|>?: \\\t\n") || s == "" || s == "-" || s == "~" {
		return fmt.Sprintf("%q", s)
	}
	return s
}

func block(v any, indent string) string {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			return indent + "{}\n"
		}
		var b strings.Builder
		for _, m := range v {
			switch value := m.value.(type) {
			case scalar:
				fmt.Fprintf(&b, "%s%s: %s\n", indent, m.key, value)
			case list:
				if len(value) == 0 {
					fmt.Fprintf(&b, "%s%s: []\n", indent, m.key)
				} else {
					fmt.Fprintf(&b, "%s%s:\n%s", indent, m.key, block(value, indent))
				}
			default:
				fmt.Fprintf(&b, "%s%s:\n%s", indent, m.key, block(value, indent+"  "))
			}
		}
		return b.String()
	case list:
		var b strings.Builder
		for _, e := range v {
			if s, ok := e.(scalar); ok {
				fmt.Fprintf(&b, "%s- %s\n", indent, s)
				continue
			}
			fmt.Fprintf(&b, "%s- %s", indent, strings.TrimPrefix(block(e, indent+"  "), indent+"  "))
		}
		return b.String()
	}
	return fmt.Sprintf("%s%s\n", indent, v)
}

// flow writes what is JSON where the scalars are, and YAML's flow style otherwise.
func flow(v any) string {
	switch v := v.(type) {
	case object:
		var parts []string
		for _, m := range v {
			parts = append(parts, fmt.Sprintf("%q: %s", m.key, flow(m.value)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		var parts []string
		for _, e := range v {
			parts = append(parts, flow(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	s := fmt.Sprint(v)
	if strings.HasPrefix(s, `"`) || s == "true" || s == "false" || s == "null" {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// spoilText damages a text as editors, templates and copying do.
func spoilText(r *rand.Rand, text string) string {
	lines := strings.SplitAfter(text, "\n")
	i := r.IntN(len(lines))
	switch r.IntN(18) {
	case 0:
		return "\ufeff" + text
	case 1:
		return strings.ReplaceAll(text, "\n", "\r\n")
	case 2:
		return "---\n" + text
	case 3:
		return text + "---\n" + text
	case 4:
		return text + "...\n"
	case 5:
		return "%YAML 1.1\n---\n" + text
	case 6:
		return "# a comment\n\n" + text + "\n# the end"
	case 7:
		return text[:r.IntN(len(text)+1)]
	case 8:
		lines = slices.Delete(lines, i, i+1)
	case 9:
		lines = slices.Insert(lines, i, lines[i])
	case 10:
		lines[i] = " " + lines[i]
	case 11:
		lines[i] = "\t" + lines[i]
	case 12:
		lines[i] = strings.TrimPrefix(lines[i], " ")
	case 13:
		return insert(r, text, pick(r, "\x00", "\x01", "\u0085", "\u2028", "\u00a0", "\x7f", ":", "-", "{", "}", "[", "]", "\"", "'", "#", "&a ", "*a", "!", "!!map ", "|", ">", "%", "@", ",", "\n", "\r", "\t"))
	case 14:
		return "base: &b {name: x}\n" + text + "<<: *b\n"
	case 15:
		return "---\n---\n" + text
	case 16:
		return text + pick(r, "}", "]", "garbage", "{}", "null", "---", "--- {}\n", "\x00", "key: [")
	case 17:
		return pick(r, "", "\n", "{}", "null", "[]", "a", "---\n", "{\"apiVersion\": 1}", "apiVersion: kubelet.config.k8s.io/v1", "kind: CredentialProviderConfig\n", "\xff\xfe", "- a\n")
	}
	return strings.Join(lines, "")
}

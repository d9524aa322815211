package imagecred

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// validate applies the kubelet's rules to all providers together
// (validateCredentialProviderConfig in pkg/credentialprovider/plugin/config.go).
func (c *Config) validate() {
	decoded := c.Refusal == ""
	c.duplicates()
	v := validation{c: c}
	if len(c.Providers) == 0 && decoded {
		where := finding.Where{File: c.Path}
		if len(c.Files) == 1 {
			if w, ok := c.Files[0].places.value("providers"); ok {
				where = w
			} else {
				where.File = c.Files[0].Name
			}
		}
		v.add(codeRequired, "config", where, "no provider: the kubelet wants at least one", "add a provider, or leave the kubelet's flag out",
			required("providers", "at least 1 item in plugins is required"))
	}
	for i := range c.Providers {
		v.provider(&c.Providers[i])
	}
	for i, f := range v.found {
		c.problem(f.code, f.subject, f.where, f.message, "", f.fix)
		c.Problems[len(c.Problems)-1].Evidence["kubelet"] = shown(v.kubelet[i])
	}
	if len(v.kubelet) > 0 && c.Refusal == "" {
		c.Refusal = "failed to validate credential provider config: " + aggregate(v.kubelet)
	}
}

// duplicates finds provider names that are used twice, in all files together.
func (c *Config) duplicates() {
	seen := map[string]*Provider{}
	for i := range c.Providers {
		p := &c.Providers[i]
		first, dup := seen[p.Name]
		if !dup {
			seen[p.Name] = p
			continue
		}
		w := first.Where("name")
		c.problem(codeName, p.subject(), p.Where("name"),
			fmt.Sprintf("the name is used twice, first at %s:%d", w.File, w.Line),
			fmt.Sprintf("duplicate provider name %q found in configuration file(s)", p.Name),
			"name one of them otherwise, with a link of that name to the same binary, or join their matchImages")
	}
}

// aggregate joins errors as k8s.io/apimachinery does.
func aggregate(messages []string) string {
	var unique []string
	for _, m := range messages {
		if !slices.Contains(unique, m) {
			unique = append(unique, m)
		}
	}
	if len(unique) == 1 {
		return unique[0]
	}
	return "[" + strings.Join(unique, ", ") + "]"
}

// The forms of a field error in k8s.io/apimachinery pkg/util/validation/field.
func required(field, detail string) string  { return detailed(field+": Required value", detail) }
func forbidden(field, detail string) string { return detailed(field+": Forbidden", detail) }
func invalid(field string, value any, detail string) string {
	return detailed(field+": Invalid value: "+jsonText(value), detail)
}
func duplicate(field, value string) string {
	return field + ": Duplicate value: " + strconv.Quote(value)
}
func notSupported(field string, value any, valid []string) string {
	quoted := make([]string, len(valid))
	for i, v := range valid {
		quoted[i] = strconv.Quote(v)
	}
	return field + ": Unsupported value: " + jsonText(value) + ": supported values: " + strings.Join(quoted, ", ")
}

func detailed(s, detail string) string {
	if detail == "" {
		return s
	}
	return s + ": " + detail
}

// cacheType is a type of its own in the kubelet, and shown as JSON therefore.
type cacheType string

// jsonText shows a value as a field error does: a string as Go quotes it, any
// other type as JSON.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// fault is a problem before it is one.
type fault struct {
	code, subject, message, fix string
	where                       finding.Where
}

type validation struct {
	c       *Config
	found   []fault
	kubelet []string
}

func (v *validation) add(code, subject string, where finding.Where, message, fix, kubelet string) {
	v.found = append(v.found, fault{code, subject, message, fix, where})
	v.kubelet = append(v.kubelet, kubelet)
}

// has tells whether the file says something in the field, be it of a wrong type.
func (p *Provider) has(field string) bool {
	if p.places == nil {
		return false
	}
	n, ok := p.places.values[p.path()+"."+field]
	return ok && n.Tag != "!!null"
}

func (v *validation) provider(p *Provider) {
	v.name(p)
	versions := []string{string(PluginV1), string(PluginV1alpha1), string(PluginV1beta1)}
	newest := string(v.c.version.orCurrent().newestPlugin())
	switch {
	case p.APIVersion == "":
		v.add(codeRequired, p.subject(), p.Where("apiVersion"), "apiVersion is required: the version of the plugin's protocol", "add apiVersion: "+newest,
			required("providers.apiVersion", ""))
	case !slices.Contains(versions, p.APIVersion):
		message := "apiVersion " + quote(p.APIVersion) + " is none of the plugins' protocol"
		if strings.HasPrefix(p.APIVersion, configGroup) {
			message += ", it is the config's own"
		}
		v.add(codePluginAPI, p.subject(), p.Where("apiVersion"), message, "write apiVersion: "+newest,
			notSupported("providers.apiVersion", p.APIVersion, versions))
	case !v.c.version.Knows(Feature(p.APIVersion)):
		v.add(codePluginAPI, p.subject(), p.Where("apiVersion"),
			fmt.Sprintf("apiVersion %s is known to kubelets from %s on, and %s is older", p.APIVersion, Since(Feature(p.APIVersion)), v.c.version),
			"write apiVersion: "+newest+", if the plugin speaks it",
			notSupported("providers.apiVersion", p.APIVersion, v.knownVersions(versions)))
	}
	if len(p.MatchImages) == 0 && !(v.c.Refusal != "" && p.has("matchImages") && p.typeFault("matchImages")) {
		v.add(codeRequired, p.subject(), p.Where("matchImages"), "matchImages is required: without a pattern the provider is asked about no image", "add the registries' hosts",
			required("providers.matchImages", "at least 1 item in matchImages is required"))
	}
	for i, m := range p.MatchImages {
		if _, err := Compile(m); err != nil {
			field := fmt.Sprintf("matchImages[%d]", i)
			v.add(codeBadPattern, p.subject()+", pattern "+strconv.Itoa(i+1), p.Where(field), "the pattern is no URL without a scheme: "+shown(cause(err)), badPatternFix(m),
				invalid("providers.matchImages", m, "match image is invalid: "+err.Error()))
		}
	}
	v.duration(p)
	if p.TokenAttributes != nil {
		v.tokens(p)
	}
}

func (p *Provider) typeFault(field string) bool {
	n := p.places.values[p.path()+"."+field]
	return n != nil && typeOf(n) != "list"
}

func (v *validation) knownVersions(all []string) []string {
	var out []string
	for _, a := range all {
		if v.c.version.Knows(Feature(a)) {
			out = append(out, a)
		}
	}
	return out
}

// cause takes the URL, which stands beside it, out of the parser's error.
func cause(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, `": `); i >= 0 {
		return s[i+3:]
	}
	return s
}

func badPatternFix(m string) string {
	switch trimmed := strings.TrimSpace(m); {
	case trimmed != m && trimmed != "":
		return "take out the space around it"
	case lastColon(m):
		return "take out the tag: images are compared without it"
	}
	return "write a host, and if need be a port and a path: registry.example.com:5000/team/"
}

// lastColon tells whether the pattern looks like an image with a tag.
func lastColon(m string) bool {
	i := strings.LastIndex(m, ":")
	return i > 0 && !strings.Contains(m[i:], "/") && strings.Trim(m[i+1:], "0123456789") != ""
}

func (v *validation) name(p *Provider) {
	bad := func(message string) {
		v.add(codeName, p.subject(), p.Where("name"), "the "+strings.TrimPrefix(message, "provider "), "write the file name of the plugin's binary, without its directory",
			invalid("providers.name", p.Name, message))
	}
	if strings.Contains(p.Name, "/") {
		bad("provider name cannot contain '/'")
	}
	if strings.Contains(p.Name, " ") {
		bad("provider name cannot contain spaces")
	}
	if p.Name == "." {
		bad("provider name cannot be '.'")
	}
	if p.Name == ".." {
		bad("provider name cannot be '..'")
	}
}

func (v *validation) duration(p *Provider) {
	switch d := p.DefaultCacheDuration; {
	case d == nil:
		v.add(codeRequired, p.subject(), p.Where("defaultCacheDuration"), "defaultCacheDuration is required: how long an answer lasts that says nothing of it",
			`add defaultCacheDuration: "10m", or "0s" to cache nothing`, required("providers.defaultCacheDuration", ""))
	case *d < 0:
		v.add(codeBadDuration, p.subject(), p.Where("defaultCacheDuration"), "defaultCacheDuration is negative", `write "0s" to cache nothing`,
			invalid("providers.defaultCacheDuration", d.String(), "must be greater than or equal to 0"))
	}
}

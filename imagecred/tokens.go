package imagecred

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// tokens applies the rules of tokenAttributes.
func (v *validation) tokens(p *Provider) {
	t := p.TokenAttributes
	const base = "providers.tokenAttributes"
	add := func(field, message, fix, kubelet string) {
		at := "tokenAttributes"
		if field != "" {
			at += "." + field
		}
		v.add(codeTokens, p.subject(), p.Where(at), message, fix, kubelet)
	}
	version := v.c.version.orCurrent()
	if !version.Knows(TokenFields) {
		v.tooOld(p, "tokenAttributes", TokenFields)
		return
	}
	if !version.Knows(TokenFieldsOn) {
		add("", fmt.Sprintf("tokenAttributes needs the feature gate KubeletServiceAccountTokenForCredentialProviders, which is off by default before %s", Since(TokenFieldsOn)),
			"turn the feature gate on, or leave tokenAttributes out",
			forbidden(base, "tokenAttributes is not supported when KubeletServiceAccountTokenForCredentialProviders feature gate is disabled"))
	}
	if t.Audience == "" {
		add("serviceAccountTokenAudience", "serviceAccountTokenAudience is required: who the token is for", "add the audience that the registry's side expects",
			required(base+".serviceAccountTokenAudience", ""))
	}
	if t.RequireServiceAccount == nil {
		add("requireServiceAccount", "requireServiceAccount is required", "add requireServiceAccount: true, or false where static pods pull through the provider too",
			required(base+".requireServiceAccount", ""))
	}
	if p.APIVersion != string(PluginV1) {
		add("", "tokenAttributes is allowed only with the provider's apiVersion "+string(PluginV1), "write the provider's apiVersion: "+string(PluginV1),
			forbidden(base, "tokenAttributes is only supported for "+string(PluginV1)+" API version"))
	}
	if t.RequireServiceAccount != nil && !*t.RequireServiceAccount && len(t.RequiredAnnotationKeys) > 0 {
		add("requiredServiceAccountAnnotationKeys", "annotations are required of the service account, and the account itself is not", "write requireServiceAccount: true, or make the annotations optional",
			forbidden(base+".requiredServiceAccountAnnotationKeys", "requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set"))
	}
	v.keys(p, "requiredServiceAccountAnnotationKeys", t.RequiredAnnotationKeys)
	v.keys(p, "optionalServiceAccountAnnotationKeys", t.OptionalAnnotationKeys)
	if both := inBoth(t.RequiredAnnotationKeys, t.OptionalAnnotationKeys); len(both) > 0 {
		add("", "annotation keys are both required and optional: "+shown(strings.Join(both, ", ")), "keep each key in one of the lists",
			invalid(base, both, "annotation keys cannot be both required and optional"))
	}
	v.cacheType(p, version, add)
}

func (v *validation) cacheType(p *Provider, version Version, add func(field, message, fix, kubelet string)) {
	t := p.TokenAttributes
	const field = "providers.tokenAttributes.cacheType"
	switch {
	case !version.Knows(CacheTypeField):
		if t.CacheType != "" {
			v.tooOld(p, "tokenAttributes.cacheType", CacheTypeField)
		}
	case t.CacheType == "":
		add("cacheType", fmt.Sprintf("cacheType is required from %s on", Since(CacheTypeField)), "add cacheType: Token, or ServiceAccount where the credential depends on the account alone",
			required(field, "cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token"))
	case t.CacheType != "Token" && t.CacheType != "ServiceAccount":
		add("cacheType", "cacheType "+quote(t.CacheType)+" is neither Token nor ServiceAccount", "write Token or ServiceAccount, in this case of letters",
			notSupported(field, cacheType(t.CacheType), []string{"ServiceAccount", "Token"}))
	}
}

// tooOld records a field that the kubelet's version does not decode.
func (v *validation) tooOld(p *Provider, field string, f Feature) {
	v.c.problem(codeTooOld, p.subject(), p.Where(field),
		fmt.Sprintf("%s is known to kubelets from %s on, and %s is older", field, Since(f), v.c.version),
		fmt.Sprintf("error decoding config %q: strict decoding error: unknown field %q", p.File, p.path()+"."+field),
		"leave it out on these nodes")
}

// keys judges a list of annotation keys.
func (v *validation) keys(p *Provider, list string, keys []string) {
	field := "providers.tokenAttributes." + list
	var seen []string
	for i, k := range keys {
		where := p.Where(fmt.Sprintf("tokenAttributes.%s[%d]", list, i))
		for _, msg := range qualifiedName(strings.ToLower(k)) {
			v.add(codeTokens, p.subject(), where, "annotation key "+quote(k)+": "+msg, "write the key as it stands on the service account, such as eks.amazonaws.com/role-arn",
				invalid(field, k, msg))
		}
		if slices.Contains(seen, k) {
			v.add(codeTokens, p.subject(), where, "annotation key "+quote(k)+" is listed twice", "list it once", duplicate(field, k))
		}
		seen = append(seen, k)
	}
}

func inBoth(a, b []string) []string {
	var out []string
	for _, k := range a {
		if slices.Contains(b, k) && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// The rules and words of a label key: k8s.io/apimachinery
// pkg/api/validate/content (kube.go and dns.go).
const (
	subdomainForm  = `[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`
	subdomainRule  = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '" + subdomainForm + "')"
	keyNameForm    = `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
	keyNameRule    = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '" + keyNameForm + "')"
	maxSubdomain   = 253
	maxKeyName     = 63
	keyWholeSuffix = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)

var (
	subdomainExp = lazyexp.New("^" + subdomainForm + "$")
	keyNameExp   = lazyexp.New("^" + keyNameForm + "$")
)

// qualifiedName says what is wrong with an annotation key.
func qualifiedName(key string) []string {
	var out []string
	prefix, name, hasPrefix := strings.Cut(key, "/")
	switch {
	case strings.Count(key, "/") > 1:
		return []string{"a valid label key " + keyNameRule + keyWholeSuffix}
	case !hasPrefix:
		name = key
	case prefix == "":
		out = append(out, "prefix part must be non-empty")
	default:
		if len(prefix) > maxSubdomain {
			out = append(out, fmt.Sprintf("prefix part must be no more than %d bytes", maxSubdomain))
		}
		if !subdomainExp().MatchString(prefix) {
			out = append(out, "prefix part "+subdomainRule)
		}
	}
	switch {
	case name == "":
		out = append(out, "name part must be non-empty")
	case len(name) > maxKeyName:
		out = append(out, fmt.Sprintf("name part must be no more than %d bytes", maxKeyName))
	}
	if !keyNameExp().MatchString(name) {
		out = append(out, "name part "+keyNameRule)
	}
	return out
}

package explain

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// Some faults are in no piece by itself: they show when two are held together.

// kubercShape knows kubectl's preferences where they say which plugins may run.
func (e *evidence) kubercShape(d *document, n *yaml.Node) (bool, bool) {
	policy := get(n, "credentialPluginPolicy")
	if policy == nil {
		return false, false
	}
	e.piece(Piece{Kind: "kuberc", Road: finding.Client, Where: d.where(n), Summary: policy.Value})
	e.add("kuberc.policy", policy.Value, d.where(policy))
	for _, p := range items(get(n, "credentialPluginAllowlist")) {
		e.add("kuberc.allowed", cmpOr(str(p, "name"), str(p, "command")), d.where(p))
	}
	return true, true
}

// awsCredentialsShape knows credentials as STS and credential processes give
// them, of which only the end is read.
func (e *evidence) awsCredentialsShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "AccessKeyId") == nil || get(n, "Expiration") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "temporary AWS credentials", Road: finding.Client, Where: d.where(n)})
	e.add("awscreds.expires", str(n, "Expiration"), d.where(get(n, "Expiration")))
	return true, true
}

// roleShape knows what 'aws iam get-role' prints.
func (e *evidence) roleShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "RoleId") == nil || get(n, "CreateDate") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "IAM role", Road: finding.Server, Where: d.where(n), Summary: str(n, "Arn")})
	e.arn(str(n, "Arn"), d.where(n))
	e.add("role.created", str(n, "CreateDate"), d.where(get(n, "CreateDate")))
	return true, false
}

// firstTime returns the first value of a fact that is a time.
func (e *evidence) firstTime(key string) (time.Time, fact) {
	for _, f := range e.facts[key] {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.999999-0700"} {
			if t, err := time.Parse(layout, f.value); err == nil {
				return t, f
			}
		}
	}
	return time.Time{}, fact{}
}

// compareTimes notes an announced end that is later than the end of the
// credentials behind it, and an access entry that is older than its role.
func (e *evidence) compareTimes() {
	if end, f := e.firstTime("execcred.expires"); !end.IsZero() {
		if own, _ := e.firstTime("awscreds.expires"); !own.IsZero() && own.Before(end) {
			e.add("execcred.outlives", finding.Span(end.Sub(own)), f.where)
		}
	}
	if entry, f := e.firstTime("accessentry.created"); !entry.IsZero() {
		if role, _ := e.firstTime("role.created"); role.After(entry) {
			e.add("accessentry.older", finding.Span(role.Sub(entry)), f.where)
		}
	}
}

// comparePolicy notes exec commands that kubectl's preferences do not let run.
func (e *evidence) comparePolicy() {
	policy := e.first("kuberc.policy")
	if policy == "" || policy == "AllowAll" {
		return
	}
	var allowed []string
	for _, f := range e.facts["kuberc.allowed"] {
		allowed = append(allowed, f.value)
	}
	for _, f := range e.facts["exec.command"] {
		if policy == "Allowlist" && slices.Contains(allowed, f.value) {
			continue
		}
		m := finding.New("KC143", f.value, fmt.Sprintf("kubectl's preferences set credentialPluginPolicy: %s, and the allowlist does not have %s", policy, f.value))
		for _, a := range allowed {
			if path.Base(strings.ReplaceAll(a, `\`, "/")) == path.Base(f.value) {
				m.Severity = finding.Warning
				m.Message = fmt.Sprintf("the allowlist of kubectl's preferences has %s and the entry runs %s: they are the same only where PATH finds it there", a, f.value)
			}
		}
		m.Where = f.where
		e.found(m)
	}
}

// compareProvider notes an annotation that a provider requires and the service
// account does not have, and an answer that is for another host than the image.
func (e *evidence) compareProvider() {
	if e.facts["serviceaccount"] != nil {
		for _, need := range e.facts["provider.requiredAnnotation"] {
			if !e.holds("serviceaccount.has", need.value) {
				e.add("provider.missingAnnotation", need.value, need.where)
			}
		}
	}
	keys := e.facts["cpresponse.key"]
	if len(keys) == 0 {
		return
	}
	for _, im := range e.facts["image.host"] {
		if !slices.ContainsFunc(keys, func(k fact) bool { return hostOf(k.value) == im.value || strings.Contains(k.value, "*") }) {
			e.add("cpresponse.otherHost", im.value, keys[0].where)
		}
	}
}

// hostOf is the host of a key as docker and the kubelet write them:
// https://example.com/v1/, example.com/path or example.com.
func hostOf(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ := strings.Cut(key, "/")
	return host
}

// holds tells whether a fact has the value.
func (e *evidence) holds(key, value string) bool {
	return slices.ContainsFunc(e.facts[key], func(f fact) bool { return f.value == value })
}

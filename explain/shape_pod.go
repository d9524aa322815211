package explain

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// auditShape knows an audit event, in whatever envelope the walk met it.
func (e *evidence) auditShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "auditID") == nil && get(n, "AuditId") == nil {
		if m := str(n, "messageType"); m == "DATA_MESSAGE" || m == "CONTROL_MESSAGE" {
			for _, l := range items(get(n, "logEvents")) {
				e.nested(d, get(l, "message"))
			}
			return true, true
		}
		if v := get(n, "log_s"); v != nil {
			e.nested(d, v)
			return true, true
		}
		return false, false
	}
	e.piece(Piece{Kind: "audit event", Road: finding.Pod, Where: d.where(n), Summary: str(n, "user", "username")})
	e.add("audit", "true", d.where(n))
	e.add("audit.user", str(n, "user", "username"), d.where(n))
	e.add("audit.agent", Redacted(str(n, "userAgent")), d.where(n))
	e.add("audit.pod", str(first(items(get(n, "user", "extra", "authentication.kubernetes.io/pod-name")))), d.where(n))
	if v := first(items(get(n, "user", "extra", "authentication.kubernetes.io/pod-name"))); v != nil {
		e.add("audit.pod", v.Value, d.where(v))
	}
	if v := get(n, "responseStatus", "code"); v != nil {
		e.add("audit.code", v.Value, d.where(v))
	}
	e.add("audit.reason", str(n, "responseStatus", "reason"), d.where(n))
	e.add("audit.verb", str(n, "verb"), d.where(n))
	e.add("audit.uri", Redacted(str(n, "requestURI")), d.where(n))
	for _, k := range []string{"requestReceivedTimestamp", "stageTimestamp"} {
		if t, err := time.Parse(time.RFC3339Nano, str(n, k)); err == nil {
			e.moment(t)
		}
	}
	notes := get(n, "annotations")
	if v := get(notes, "authentication.k8s.io/stale-token"); v != nil {
		e.stale(v.Value, d.where(v))
	}
	if v := get(notes, "authentication.k8s.io/legacy-token"); v != nil {
		e.add("audit.legacyToken", v.Value, d.where(v))
	}
	for i := 0; i+1 < len(content(notes)); i += 2 {
		e.add("audit.note."+notes.Content[i].Value, notes.Content[i+1].Value, d.where(notes.Content[i+1]))
	}
	e.checkAudit(d, n)
	return true, true
}

// nested parses JSON that an envelope carries as a string.
func (e *evidence) nested(d *document, v *yaml.Node) {
	if v == nil || v.Kind != yaml.ScalarNode || !strings.Contains(v.Value, "{") {
		return
	}
	sub, ok := parseJSON(d.s, v.Value, d.line+v.Line-1, 0)
	if ok {
		for i := range sub.root.Content {
			sub.root.Content[i].Line = 1
		}
		e.document(sub)
	}
}

// stale reads the mark that the API server puts on requests with a token past
// its intended end.
func (e *evidence) stale(mark string, w finding.Where) {
	subject, rest, _ := strings.Cut(strings.TrimPrefix(mark, "subject: "), ",")
	e.add("stale", strings.TrimPrefix(subject, "system:serviceaccount:"), w)
	_, seconds, _ := strings.Cut(rest, "threshold:")
	e.add("stale.seconds", strings.TrimSpace(seconds), w)
}

// claimsShape knows the decoded payload of a JWT.
func (e *evidence) claimsShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "iss") == "" || get(n, "exp") == nil && get(n, "kubernetes.io") == nil && get(n, "sub") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "claims of a JWT", Where: d.where(n), Summary: "issuer " + str(n, "iss")})
	e.claims(claimsOf(n), d.where(n))
	return true, true
}

// statusShape knows the Status object that an API server answers with.
func (e *evidence) statusShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "kind") != "Status" {
		return false, false
	}
	e.piece(Piece{Kind: "answer of an API server", Where: d.where(n), Summary: strings.TrimSpace(str(n, "code") + " " + str(n, "reason"))})
	e.add("status.code", str(n, "code"), d.where(n))
	e.add("status.message", Redacted(str(n, "message")), d.where(n))
	return true, true
}

// serviceAccountShape knows a ServiceAccount and a token secret.
func (e *evidence) serviceAccountShape(d *document, n *yaml.Node) (bool, bool) {
	switch str(n, "kind") {
	case "ServiceAccount":
		e.piece(Piece{Kind: "ServiceAccount", Road: finding.Pod, Where: d.where(n), Summary: str(n, "metadata", "namespace") + "/" + str(n, "metadata", "name")})
		e.add("serviceaccount", str(n, "metadata", "namespace")+"/"+str(n, "metadata", "name"), d.where(n))
		for i, k := range content(get(n, "metadata", "annotations")) {
			if i%2 == 0 {
				e.add("serviceaccount.has", k.Value, d.where(k))
			}
		}
		if v := get(n, "metadata", "annotations", "eks.amazonaws.com/role-arn"); v != nil {
			e.add("serviceaccount.roleARN", v.Value, d.where(v))
			e.arn(v.Value, d.where(v))
		}
		for _, k := range content(get(n, "metadata", "annotations")) {
			if strings.HasPrefix(k.Value, "eks.amazonaws.com/role") {
				e.add("serviceaccount.annotation", k.Value, d.where(k))
			}
		}
		if get(n, "secrets") == nil {
			e.add("serviceaccount.noSecrets", "true", d.where(n))
		}
		return true, true
	case "Secret":
		t := str(n, "type")
		e.piece(Piece{Kind: "Secret", Where: d.where(n), Summary: t})
		e.add("secret.type", t, d.where(n))
		for _, k := range []string{"kubernetes.io/legacy-token-invalid-since", "kubernetes.io/legacy-token-last-used"} {
			if v := get(n, "metadata", "labels", k); v != nil {
				e.add("secret."+strings.TrimPrefix(k, "kubernetes.io/"), v.Value, d.where(v))
			}
		}
		return true, true
	}
	return false, false
}

package explain

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

func (e *evidence) providerConfigShape(d *document, n *yaml.Node) (bool, bool) {
	list := get(n, "providers")
	if str(n, "kind") != "CredentialProviderConfig" && (list == nil || !hasAny(first(items(list)), "matchImages", "defaultCacheDuration")) {
		return false, false
	}
	e.piece(Piece{Kind: "CredentialProviderConfig", Road: finding.Node, Where: d.where(n), Summary: count(len(items(list)), "provider")})
	e.add("imageconfig", cmpOr(str(n, "apiVersion"), "(no apiVersion)"), d.where(n))
	if v := get(n, "apiVersion"); v != nil {
		e.add("imageconfig.apiVersion", v.Value, d.where(v))
	}
	for _, p := range items(list) {
		e.provider(d, p)
	}
	e.checkProviderConfig(d, n)
	return true, true
}

func (e *evidence) provider(d *document, p *yaml.Node) {
	if p.Kind != yaml.MappingNode {
		return
	}
	if v := get(p, "name"); v != nil {
		e.add("provider.name", v.Value, d.where(v))
	}
	if v := get(p, "apiVersion"); v != nil {
		e.add("provider.apiVersion", v.Value, d.where(v))
	}
	for _, m := range items(get(p, "matchImages")) {
		e.add("provider.match", m.Value, d.where(m))
	}
	for _, a := range items(get(p, "args")) {
		e.add("provider.arg", Redacted(a.Value), d.where(a))
	}
	for _, v := range items(get(p, "env")) {
		e.add("provider.env", str(v, "name"), d.where(v))
		e.env(str(v, "name"), str(v, "value"), d.where(v))
	}
	if v := get(p, "defaultCacheDuration"); v != nil {
		e.add("provider.cache", v.Value, d.where(v))
	}
	if t := get(p, "tokenAttributes"); t != nil {
		e.add("provider.tokenAttributes", cmpOr(str(t, "serviceAccountTokenAudience"), "true"), d.where(t))
		e.add("provider.audience", str(t, "serviceAccountTokenAudience"), d.where(t))
		e.add("provider.cacheType", str(t, "cacheType"), d.where(t))
		for _, k := range items(get(t, "requiredServiceAccountAnnotationKeys")) {
			e.add("provider.requiredAnnotation", k.Value, d.where(k))
		}
	}
}

func (e *evidence) providerShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "matchImages") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "part of a CredentialProviderConfig", Road: finding.Node, Where: d.where(n), Summary: str(n, "name")})
	e.add("imageconfig", "(part)", d.where(n))
	e.provider(d, n)
	e.checkProvider(d, n)
	return true, true
}

func (e *evidence) providerResponseShape(d *document, n *yaml.Node) (bool, bool) {
	kind := str(n, "kind")
	if kind != "CredentialProviderResponse" && kind != "CredentialProviderRequest" {
		if get(n, "cacheKeyType") == nil || get(n, "auth") == nil {
			return false, false
		}
		kind = "CredentialProviderResponse"
		e.add("cpresponse.noKind", "true", d.where(n))
	}
	e.piece(Piece{Kind: kind, Road: finding.Node, Where: d.where(n), Summary: strings.TrimPrefix(str(n, "apiVersion"), "credentialprovider.kubelet.k8s.io/")})
	if kind == "CredentialProviderRequest" {
		e.add("cprequest", cmpOr(str(n, "apiVersion"), "true"), d.where(n))
		if v := get(n, "image"); v != nil {
			e.image(v.Value, d.where(v))
		}
		return true, true
	}
	e.add("cpresponse", cmpOr(str(n, "apiVersion"), "(no apiVersion)"), d.where(n))
	if d.source != "" && n == d.root {
		e.inspectLater(d.source, d.where(n))
	}
	if v := get(n, "cacheKeyType"); v != nil {
		e.add("cpresponse.cacheKeyType", v.Value, d.where(v))
		switch v.Value {
		case "Image", "Registry", "Global":
		default:
			e.add("cpresponse.badCacheKeyType", v.Value, d.where(v))
		}
	} else {
		e.add("cpresponse.badCacheKeyType", "(none)", d.where(n))
	}
	if v := get(n, "cacheDuration"); v != nil {
		e.add("cpresponse.cacheDuration", v.Value, d.where(v))
		if dur, err := time.ParseDuration(v.Value); err != nil {
			e.add("cpresponse.badDuration", v.Value, d.where(v))
		} else if dur < time.Second {
			e.add("cpresponse.tinyDuration", v.Value, d.where(v))
		}
	}
	auth := get(n, "auth")
	switch {
	case auth == nil || auth.Tag == "!!null" || len(auth.Content) == 0:
		e.add("cpresponse.noAuth", "true", d.where(n))
	default:
		for i := 0; i+1 < len(auth.Content); i += 2 {
			e.add("cpresponse.key", auth.Content[i].Value, d.where(auth.Content[i]))
			if str(auth.Content[i+1], "username") == "" || str(auth.Content[i+1], "password") == "" {
				e.add("cpresponse.emptyCredential", auth.Content[i].Value, d.where(auth.Content[i]))
			}
		}
	}
	return true, true
}

func (e *evidence) dockerConfigShape(d *document, n *yaml.Node) (bool, bool) {
	if get(n, "auths") == nil && get(n, "credHelpers") == nil && get(n, "credsStore") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "docker config", Road: finding.Node, Where: d.where(n), Summary: count(len(content(get(n, "auths")))/2, "registry")})
	e.add("dockerconfig", "true", d.where(n))
	if v := get(n, "credsStore"); v != nil {
		e.add("dockerconfig.credsStore", v.Value, d.where(v))
	}
	if v := get(n, "credHelpers"); v != nil {
		e.add("dockerconfig.credHelpers", "true", d.where(v))
		for i := 0; i+1 < len(v.Content); i += 2 {
			e.add("dockerconfig.helper", v.Content[i].Value+" "+v.Content[i+1].Value, d.where(v.Content[i]))
		}
	}
	if auths := get(n, "auths"); auths != nil && auths.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(auths.Content); i += 2 {
			host, entry := auths.Content[i], auths.Content[i+1]
			e.add("dockerconfig.host", host.Value, d.where(host))
			if len(entry.Content) == 0 {
				e.add("dockerconfig.emptyAuth", host.Value, d.where(host))
			}
			if str(entry, "identitytoken") != "" {
				e.add("dockerconfig.identityToken", host.Value, d.where(host))
			}
		}
	}
	return true, true
}

func content(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return n.Content
}

func (e *evidence) kubeletConfigShape(d *document, n *yaml.Node) (bool, bool) {
	if str(n, "kind") != "KubeletConfiguration" {
		return false, false
	}
	e.piece(Piece{Kind: "KubeletConfiguration", Road: finding.Node, Where: d.where(n)})
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if v.Kind == yaml.ScalarNode {
			e.add("kubeletconfig."+k.Value, v.Value, d.where(v))
		}
		if strings.HasPrefix(k.Value, "imageCredentialProvider") {
			e.add("kubeletconfig.flagAsField", k.Value, d.where(k))
		}
	}
	return true, true
}

// eventShape knows an Event of a pod.
func (e *evidence) eventShape(d *document, n *yaml.Node) (bool, bool) {
	if !hasAny(n, "involvedObject", "regarding") || get(n, "reason") == nil {
		return false, false
	}
	e.piece(Piece{Kind: "event", Where: d.where(n), Summary: str(n, "reason")})
	e.add("event.reason", str(n, "reason"), d.where(n))
	return true, true
}

// workloadShape reads pods, deployments and what else has a pod template.
func (e *evidence) workloadShape(d *document, n *yaml.Node) (bool, bool) {
	spec := get(n, "spec", "template", "spec")
	if spec == nil {
		spec = get(n, "spec", "jobTemplate", "spec", "template", "spec")
	}
	if spec == nil {
		spec = get(n, "spec")
	}
	list := get(spec, "containers")
	if list == nil {
		if list = get(n, "containers"); list == nil {
			return false, false
		}
		spec = n
	}
	e.piece(Piece{Kind: cmpOr(str(n, "kind"), "pod spec"), Where: d.where(n), Summary: str(n, "metadata", "name")})
	e.add("workload", cmpOr(str(n, "kind"), "pod"), d.where(n))
	e.add("workload.serviceAccount", str(spec, "serviceAccountName"), d.where(spec))
	e.add("workload.automount", str(spec, "automountServiceAccountToken"), d.where(spec))
	if v := get(spec, "imagePullSecrets"); v != nil {
		e.add("workload.pullSecrets", "true", d.where(v))
	}
	for _, c := range append(items(list), items(get(spec, "initContainers"))...) {
		if v := get(c, "image"); v != nil {
			e.image(v.Value, d.where(v))
		}
		for _, x := range items(get(c, "env")) {
			e.env(str(x, "name"), str(x, "value"), d.where(x))
		}
		for _, m := range items(get(c, "volumeMounts")) {
			e.add("workload.mount", str(m, "mountPath"), d.where(m))
			if str(m, "subPath") != "" {
				e.add("workload.subPath", str(m, "mountPath"), d.where(m))
			}
		}
	}
	for _, v := range items(get(spec, "volumes")) {
		if h := get(v, "hostPath", "path"); h != nil {
			e.add("workload.hostPath", h.Value, d.where(h))
		}
		for _, s := range items(get(v, "projected", "sources")) {
			t := get(s, "serviceAccountToken")
			if t == nil {
				continue
			}
			e.add("projected", "true", d.where(t))
			e.add("projected.audience", str(t, "audience"), d.where(t))
			e.add("projected.seconds", str(t, "expirationSeconds"), d.where(t))
		}
	}
	e.volumeErrors(d, n)
	return true, false
}

// volumeErrors is a hook for what stands in a workload's status.
func (e *evidence) volumeErrors(d *document, n *yaml.Node) {
	for _, c := range items(get(n, "status", "containerStatuses")) {
		if v := get(c, "state", "waiting", "reason"); v != nil {
			e.add("pod.waiting", v.Value, d.where(v))
		}
	}
}

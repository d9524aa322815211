// Package credapi holds the wire types of the two protocols by which Kubernetes
// asks a program for a credential, and a strict codec for them:
//
//   - client-go's exec plugins (client.authentication.k8s.io): an [ExecRequest]
//     in the variable KUBERNETES_EXEC_INFO, an [ExecCredential] on stdout;
//   - the kubelet's image credential providers (credentialprovider.kubelet.k8s.io):
//     a [ProviderRequest] on stdin, a [ProviderResponse] on stdout.
//
// Each protocol has the versions v1, v1beta1 and v1alpha1, which carry the same
// fields as far as a credential goes; the types here are without a version, and
// Encode writes them in the one asked for. That is all that a conversion takes.
//
// Decoding is stricter than encoding/json: names are compared with case, a name
// given twice, a wrong type and anything after the document are errors, and an
// error names the field and what was expected. It never holds a field's value,
// apiVersion, kind and cacheKeyType apart, because any other might be a secret.
//
// The package knows the standard library only.
package credapi

import "strings"

// MaxDocument bounds a document of either protocol, in bytes. The largest real
// ones, a certificate pair with its chain, have some 20 KiB.
const MaxDocument = 1 << 20

// Versions of a protocol, newest first, as they stand after the group.
var versions = []string{"v1", "v1beta1", "v1alpha1"}

// The API groups of the two protocols.
const (
	ExecGroup     = "client.authentication.k8s.io"
	ProviderGroup = "credentialprovider.kubelet.k8s.io"
)

// The apiVersions of client-go's exec protocol.
const (
	ExecV1       = ExecGroup + "/v1"
	ExecV1Beta1  = ExecGroup + "/v1beta1"
	ExecV1Alpha1 = ExecGroup + "/v1alpha1"
)

// The apiVersions of the kubelet's credential provider protocol.
const (
	ProviderV1       = ProviderGroup + "/v1"
	ProviderV1Beta1  = ProviderGroup + "/v1beta1"
	ProviderV1Alpha1 = ProviderGroup + "/v1alpha1"
)

// knownVersion tells whether apiVersion is a version of the group.
func knownVersion(group, apiVersion string) bool {
	v, ok := strings.CutPrefix(apiVersion, group+"/")
	if !ok {
		return false
	}
	for _, known := range versions {
		if v == known {
			return true
		}
	}
	return false
}

// IsExecVersion tells whether apiVersion is one of client-go's exec protocol.
func IsExecVersion(apiVersion string) bool { return knownVersion(ExecGroup, apiVersion) }

// IsProviderVersion tells whether apiVersion is one of the kubelet's provider
// protocol.
func IsProviderVersion(apiVersion string) bool { return knownVersion(ProviderGroup, apiVersion) }

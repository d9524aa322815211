package imagecred

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a minor version of Kubernetes 1, such as 35; 0 stands for none.
type Version int

// Current is the version that the package was compared with.
const Current Version = 35

func (v Version) String() string { return "1." + strconv.Itoa(int(v)) }

// ParseVersion reads a version such as "1.34", "v1.25.15" or "v1.33.4+k3s1".
func ParseVersion(s string) (Version, error) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(s), "v"), "1.")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	minor, err := strconv.Atoi(rest[:end])
	if !ok || err != nil || minor < 1 || minor > 999 {
		return 0, fmt.Errorf("%q is no version of Kubernetes: write one such as 1.34 or v1.25.15", s)
	}
	return Version(minor), nil
}

// Feature is something that a kubelet has from some version on.
type Feature string

// The features that came one by one. Those with a slash are API versions.
const (
	ConfigV1alpha1   Feature = "kubelet.config.k8s.io/v1alpha1"
	ConfigV1beta1    Feature = "kubelet.config.k8s.io/v1beta1"
	ConfigV1         Feature = "kubelet.config.k8s.io/v1"
	PluginV1alpha1   Feature = "credentialprovider.kubelet.k8s.io/v1alpha1"
	PluginV1beta1    Feature = "credentialprovider.kubelet.k8s.io/v1beta1"
	PluginV1         Feature = "credentialprovider.kubelet.k8s.io/v1"
	EnvIsAdded       Feature = "env is added to the kubelet's own environment"
	ProvidersDefault Feature = "credential providers without a feature gate"
	TokenFields      Feature = "tokenAttributes"
	TokenFieldsOn    Feature = "tokenAttributes without a feature gate"
	CacheTypeField   Feature = "tokenAttributes.cacheType"
	ConfigDirectory  Feature = "a directory of configs"
	NoBuiltInAWS     Feature = "no built-in AWS credential provider"
	// StructuredFailures is the form in which the kubelet logs that a provider
	// failed: "Failed to provide credentials for image" with fields.
	StructuredFailures Feature = "structured log of failed providers"
	// VerifiedImages is the check, on by default, whether a pod may use an image
	// that another pod pulled with a login.
	VerifiedImages Feature = "KubeletEnsureSecretPulledImages"
)

// since is the first minor version of each feature, from the changelogs of
// Kubernetes and KEP-2133 and KEP-4412.
var since = map[Feature]Version{
	ConfigV1alpha1: 20, PluginV1alpha1: 20,
	EnvIsAdded:    22,
	ConfigV1beta1: 24, PluginV1beta1: 24, ProvidersDefault: 24,
	ConfigV1: 26, PluginV1: 26,
	NoBuiltInAWS:  27,
	TokenFields:   33,
	TokenFieldsOn: 34, CacheTypeField: 34, ConfigDirectory: 34,
	StructuredFailures: 35, VerifiedImages: 35,
}

// Since is the first version that has the feature.
func Since(f Feature) Version { return since[f] }

// Knows tells whether a kubelet of the version has the feature. Version 0 is
// taken for [Current].
func (v Version) Knows(f Feature) bool { return v.orCurrent() >= since[f] }

func (v Version) orCurrent() Version {
	if v == 0 {
		return Current
	}
	return v
}

// newestFor returns the newest of the config's apiVersions that v knows.
func (v Version) newestConfig() Feature {
	for _, f := range []Feature{ConfigV1, ConfigV1beta1} {
		if v.Knows(f) {
			return f
		}
	}
	return ConfigV1alpha1
}

func (v Version) newestPlugin() Feature {
	for _, f := range []Feature{PluginV1, PluginV1beta1} {
		if v.Knows(f) {
			return f
		}
	}
	return PluginV1alpha1
}

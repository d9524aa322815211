package imagecred

import (
	"encoding/json"
	"time"
)

// The types below have the names and the shapes of k8s.io/kubelet/config/v1 and
// its older versions, because the decoder's errors name them.

type credentialProviderConfig struct {
	Kind       string               `json:"kind,omitempty"`
	APIVersion string               `json:"apiVersion,omitempty"`
	Providers  []CredentialProvider `json:"providers"`
}

// CredentialProvider is an entry of a v1 config as it is decoded.
type CredentialProvider struct {
	Name                 string                         `json:"name"`
	MatchImages          []string                       `json:"matchImages"`
	DefaultCacheDuration *duration                      `json:"defaultCacheDuration"`
	APIVersion           string                         `json:"apiVersion"`
	Args                 []string                       `json:"args,omitempty"`
	Env                  []ExecEnvVar                   `json:"env,omitempty"`
	TokenAttributes      *ServiceAccountTokenAttributes `json:"tokenAttributes,omitempty"`
}

// ServiceAccountTokenAttributes is tokenAttributes as it is decoded.
type ServiceAccountTokenAttributes struct {
	ServiceAccountTokenAudience          string   `json:"serviceAccountTokenAudience"`
	CacheType                            string   `json:"cacheType"`
	RequireServiceAccount                *bool    `json:"requireServiceAccount"`
	RequiredServiceAccountAnnotationKeys []string `json:"requiredServiceAccountAnnotationKeys,omitempty"`
	OptionalServiceAccountAnnotationKeys []string `json:"optionalServiceAccountAnnotationKeys,omitempty"`
}

// ExecEnvVar is an entry of env as it is decoded.
type ExecEnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// duration is metav1.Duration: a string that time.ParseDuration reads.
type duration struct{ time.Duration }

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	d.Duration = parsed
	return nil
}

// olderConfig is for v1alpha1 and v1beta1, which have no tokenAttributes.
type olderConfig struct {
	Kind       string          `json:"kind,omitempty"`
	APIVersion string          `json:"apiVersion,omitempty"`
	Providers  []olderProvider `json:"providers"`
}

type olderProvider struct {
	Name                 string       `json:"name"`
	MatchImages          []string     `json:"matchImages"`
	DefaultCacheDuration *duration    `json:"defaultCacheDuration"`
	APIVersion           string       `json:"apiVersion"`
	Args                 []string     `json:"args,omitempty"`
	Env                  []ExecEnvVar `json:"env,omitempty"`
}

func (o olderConfig) config() credentialProviderConfig {
	c := credentialProviderConfig{Kind: o.Kind, APIVersion: o.APIVersion}
	for _, p := range o.Providers {
		c.Providers = append(c.Providers, CredentialProvider{
			Name: p.Name, MatchImages: p.MatchImages, DefaultCacheDuration: p.DefaultCacheDuration,
			APIVersion: p.APIVersion, Args: p.Args, Env: p.Env,
		})
	}
	return c
}

package credapi

import (
	"maps"
	"slices"
	"time"

	"github.com/kubecred/kubecred/internal/plainjson"
)

const (
	providerRequestKind  = "CredentialProviderRequest"
	providerResponseKind = "CredentialProviderResponse"
)

// ProviderRequest is what the kubelet writes to a provider's stdin.
type ProviderRequest struct {
	// APIVersion is the version the answer must have.
	APIVersion string
	// Image is the normalised repository, without tag or digest.
	Image string
	// ServiceAccountToken and ServiceAccountAnnotations are sent by kubelets
	// whose config has tokenAttributes; v1 only.
	ServiceAccountToken       string
	ServiceAccountAnnotations map[string]string
}

// ParseProviderRequest decodes a request. Names that it does not know are
// passed over, for a newer kubelet may send more. The error is a [*FieldError].
func ParseProviderRequest(data []byte) (ProviderRequest, error) {
	var r ProviderRequest
	members, err := document(data)
	if err != nil {
		return r, err
	}
	if r.APIVersion, err = header(members, ProviderGroup, providerRequestKind); err != nil {
		return r, err
	}
	known := []string{"image", "serviceAccountToken", "serviceAccountAnnotations"}
	for _, m := range members {
		switch m.Name {
		case "image":
			r.Image, err = text(m.Raw, "image")
		case "serviceAccountToken":
			r.ServiceAccountToken, err = text(m.Raw, "serviceAccountToken")
		case "serviceAccountAnnotations":
			r.ServiceAccountAnnotations, err = texts(m.Raw, "serviceAccountAnnotations")
		default:
			if misspelt(m.Name, known...) {
				err = unknown("", m.Name, known...)
			}
		}
		if err != nil {
			return ProviderRequest{}, err
		}
	}
	if r.Image == "" {
		return ProviderRequest{}, fieldError("image", "missing, want the image to pull")
	}
	return r, nil
}

// texts decodes an object of strings; null is nil.
func texts(raw []byte, path string) (map[string]string, error) {
	if kindOf(raw) == "null" {
		return nil, nil
	}
	members, err := object(raw, path)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(members))
	for _, m := range members {
		if out[m.Name], err = text(m.Raw, join(path, m.Name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Encode writes the request in the version asked for, as the kubelet does.
// Versions before v1 have no service account fields, so they are left out there.
func (r ProviderRequest) Encode(apiVersion string) []byte {
	b := append([]byte(`{"kind":"CredentialProviderRequest","apiVersion":`), nil...)
	b = plainjson.AppendString(b, apiVersion)
	b = append(b, `,"image":`...)
	b = plainjson.AppendString(b, r.Image)
	if apiVersion == ProviderV1 {
		if r.ServiceAccountToken != "" {
			b = append(b, `,"serviceAccountToken":`...)
			b = plainjson.AppendString(b, r.ServiceAccountToken)
		}
		if len(r.ServiceAccountAnnotations) > 0 {
			b = append(b, `,"serviceAccountAnnotations":{`...)
			for i, name := range slices.Sorted(maps.Keys(r.ServiceAccountAnnotations)) {
				if i > 0 {
					b = append(b, ',')
				}
				b = plainjson.AppendString(b, name)
				b = append(b, ':')
				b = plainjson.AppendString(b, r.ServiceAccountAnnotations[name])
			}
			b = append(b, '}')
		}
	}
	return append(b, '}')
}

// CacheKeyType says for what the kubelet may use an answer again.
type CacheKeyType string

// The cache key types.
const (
	CacheByImage    CacheKeyType = "Image"
	CacheByRegistry CacheKeyType = "Registry"
	CacheGlobal     CacheKeyType = "Global"
)

// AuthConfig is one user name and password.
type AuthConfig struct {
	Username string
	Password string
}

// ProviderResponse is what a provider answers on stdout.
type ProviderResponse struct {
	APIVersion   string // as read; Encode does not look at it
	CacheKeyType CacheKeyType
	// CacheDuration is nil where the answer names none: then the kubelet takes
	// the provider's defaultCacheDuration. 0 means not to cache.
	CacheDuration *time.Duration
	// Auth maps match patterns to credentials; nil says that the provider has
	// none for the image.
	Auth map[string]AuthConfig
}

// ParseProviderResponse decodes a provider's answer in any of the three
// versions, as strictly as the kubelet does: an unknown field fails too. The
// error is a [*FieldError]. It also refuses a cacheKeyType that the kubelet
// would refuse after decoding.
func ParseProviderResponse(data []byte) (ProviderResponse, error) {
	var r ProviderResponse
	members, err := document(data)
	if err != nil {
		return r, err
	}
	if r.APIVersion, err = header(members, ProviderGroup, providerResponseKind); err != nil {
		return r, err
	}
	for _, m := range members {
		switch m.Name {
		case "apiVersion", "kind":
		case "cacheKeyType":
			var s string
			s, err = text(m.Raw, m.Name)
			r.CacheKeyType = CacheKeyType(s)
		case "cacheDuration":
			r.CacheDuration, err = duration(m.Raw, m.Name)
		case "auth":
			r.Auth, err = auths(m.Raw)
		default:
			err = unknown("", m.Name, "cacheKeyType", "cacheDuration", "auth")
		}
		if err != nil {
			return ProviderResponse{}, err
		}
	}
	switch r.CacheKeyType {
	case CacheByImage, CacheByRegistry, CacheGlobal:
		return r, nil
	case "":
		return ProviderResponse{}, fieldError("cacheKeyType", "missing, want Image, Registry or Global")
	}
	return ProviderResponse{}, fieldError("cacheKeyType", "is %.64q, want Image, Registry or Global", string(r.CacheKeyType))
}

// duration decodes a duration as metav1.Duration does: a string such as
// "10m0s". null is nil.
func duration(raw []byte, path string) (*time.Duration, error) {
	if kindOf(raw) == "null" {
		return nil, nil
	}
	s, err := text(raw, path)
	if err != nil {
		return nil, fieldError(path, "want a string such as \"6h0m0s\", is %s", kindOf(raw))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fieldError(path, "no duration, want one such as \"6h0m0s\"")
	}
	return &d, nil
}

func auths(raw []byte) (map[string]AuthConfig, error) {
	if kindOf(raw) == "null" {
		return nil, nil
	}
	members, err := object(raw, "auth")
	if err != nil {
		return nil, err
	}
	out := make(map[string]AuthConfig, len(members))
	for _, m := range members {
		path := join("auth", m.Name)
		if kindOf(m.Raw) == "null" {
			out[m.Name] = AuthConfig{}
			continue
		}
		fields, err := object(m.Raw, path)
		if err != nil {
			return nil, err
		}
		var a AuthConfig
		for _, f := range fields {
			switch f.Name {
			case "username":
				a.Username, err = text(f.Raw, join(path, f.Name))
			case "password":
				a.Password, err = text(f.Raw, join(path, f.Name))
			default:
				err = unknown(path, f.Name, "username", "password")
			}
			if err != nil {
				return nil, err
			}
		}
		out[m.Name] = a
	}
	return out, nil
}

// Encode writes the answer in the version asked for, on one line.
func (r ProviderResponse) Encode(apiVersion string) []byte {
	b := append([]byte(`{"kind":"CredentialProviderResponse","apiVersion":`), nil...)
	b = plainjson.AppendString(b, apiVersion)
	b = append(b, `,"cacheKeyType":`...)
	b = plainjson.AppendString(b, string(r.CacheKeyType))
	if r.CacheDuration != nil {
		b = append(b, `,"cacheDuration":`...)
		b = plainjson.AppendString(b, r.CacheDuration.String())
	}
	b = append(b, `,"auth":`...)
	if r.Auth == nil {
		return append(b, "null}"...)
	}
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(r.Auth)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = plainjson.AppendString(b, name)
		b = append(b, `:{"username":`...)
		b = plainjson.AppendString(b, r.Auth[name].Username)
		b = append(b, `,"password":`...)
		b = plainjson.AppendString(b, r.Auth[name].Password)
		b = append(b, '}')
	}
	return append(b, "}}"...)
}

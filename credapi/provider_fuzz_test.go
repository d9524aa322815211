package credapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/credapi"
)

var providerVersions = []string{credapi.ProviderV1, credapi.ProviderV1Beta1, credapi.ProviderV1Alpha1}

// seedProviders adds the vectors of a kind, in each version.
func seedProviders(f *testing.F, kind string, more ...string) {
	for _, v := range vectors(f) {
		if v.Kind == kind {
			more = append(more, v.Input)
		}
	}
	for _, input := range more {
		for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
			f.Add([]byte(strings.ReplaceAll(input, "kubelet.k8s.io/v1\"", "kubelet.k8s.io/"+version+"\"")))
		}
	}
}

// members are the names of a document's members, in any case; ok is false where
// one comes twice or something follows the document.
func members(data []byte) (names []string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, isName := t.(string)
		var value json.RawMessage
		if err != nil || !isName || seen[name] || d.Decode(&value) != nil {
			return nil, false
		}
		seen[name] = true
		names = append(names, name)
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return names, errors.Is(err, io.EOF)
}

// plainError fails for an error that is no [credapi.FieldError] or has no word.
func plainError(t *testing.T, err error) {
	t.Helper()
	var field *credapi.FieldError
	if !errors.As(err, &field) || field.Problem == "" || strings.ContainsAny(err.Error(), "\n\r") {
		t.Fatalf("%T %q", err, err)
	}
}

// A request that is taken is one JSON object without a member twice, and reads as
// the kubelet's own types would read it; written in its version it is the same
// request, and in an older one the same but for what that does not have.
func FuzzProviderRequest(f *testing.F) {
	seedProviders(f, "request",
		`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a\u0000\ud800","serviceAccountAnnotations":{"a":"b","A":"c"}}`,
		`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"x","Image":"y"}`)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := credapi.ParseProviderRequest(data)
		if err != nil {
			plainError(t, err)
			if !reflect.DeepEqual(r, credapi.ProviderRequest{}) && r.Image != "" {
				t.Fatalf("an error with %+v", r)
			}
			return
		}
		if _, ok := members(data); !ok || len(data) > credapi.MaxDocument {
			t.Fatalf("%q is taken", data)
		}
		if r.Image == "" || !credapi.IsProviderVersion(r.APIVersion) {
			t.Fatalf("%+v", r)
		}
		for _, version := range providerVersions {
			want := r
			want.APIVersion = version
			if version != credapi.ProviderV1 {
				want.ServiceAccountToken, want.ServiceAccountAnnotations = "", nil
			}
			if len(want.ServiceAccountAnnotations) == 0 {
				want.ServiceAccountAnnotations = nil
			}
			again, err := credapi.ParseProviderRequest(r.Encode(version))
			if err != nil || !reflect.DeepEqual(again, want) {
				t.Fatalf("%s\n%+v\n%+v\n%v", r.Encode(version), again, want, err)
			}
		}
	})
}

// kubeletResponse has the shape of the kubelet's own type (k8s.io/kubelet
// pkg/apis/credentialprovider/v1).
type kubeletResponse struct {
	Kind          string  `json:"kind"`
	APIVersion    string  `json:"apiVersion"`
	CacheKeyType  string  `json:"cacheKeyType"`
	CacheDuration *string `json:"cacheDuration"`
	Auth          map[string]struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"auth"`
}

// A response that is taken is one that a strict decoder of the kubelet's type
// takes, with the same values, its names in the right case and none twice; it is
// the same in every version it is written in.
func FuzzProviderResponse(f *testing.F) {
	seedProviders(f, "response",
		`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","cacheDuration":"-1h","auth":{"a":{"username":"u","password":"p"},"A":{}}}`,
		`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Global","auth":{"a":null}} {}`,
		`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Global","Auth":null,"auth":{"a":{"Username":"x"}}}`)
	known := map[string]bool{"kind": true, "apiVersion": true, "cacheKeyType": true, "cacheDuration": true, "auth": true}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := credapi.ParseProviderResponse(data)
		if err != nil {
			plainError(t, err)
			if !reflect.DeepEqual(r, credapi.ProviderResponse{}) && r.CacheKeyType != "" {
				t.Fatalf("an error with %+v", r)
			}
			return
		}
		names, ok := members(data)
		if !ok || len(data) > credapi.MaxDocument {
			t.Fatalf("%q is taken", data)
		}
		for _, name := range names {
			if !known[name] {
				t.Fatalf("%q is taken with %q", data, name)
			}
		}
		var k kubeletResponse
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&k); err != nil {
			t.Fatalf("%q is taken, and the kubelet's type says %v", data, err)
		}
		if k.APIVersion != r.APIVersion || k.CacheKeyType != string(r.CacheKeyType) || len(k.Auth) != len(r.Auth) || (k.Auth == nil) != (r.Auth == nil) {
			t.Fatalf("%q: %+v, the kubelet reads %+v", data, r, k)
		}
		for name, a := range r.Auth {
			if k.Auth[name].Username != a.Username || k.Auth[name].Password != a.Password {
				t.Fatalf("%q: another login for %q", data, name)
			}
		}
		for _, version := range providerVersions {
			want := r
			want.APIVersion = version
			again, err := credapi.ParseProviderResponse(r.Encode(version))
			if err != nil || !reflect.DeepEqual(again, want) {
				t.Fatalf("%s\n%+v\n%+v\n%v", r.Encode(version), again, want, err)
			}
		}
	})
}

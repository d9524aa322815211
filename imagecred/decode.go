package imagecred

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	kjson "sigs.k8s.io/json"
	kyaml "sigs.k8s.io/yaml"
)

// configGroup and configKind are what a config's document must be.
const (
	configGroup = "kubelet.config.k8s.io"
	configKind  = "CredentialProviderConfig"
	pluginGroup = "credentialprovider.kubelet.k8s.io"
)

// decodeError is why the kubelet cannot decode a file.
type decodeError struct {
	kind decodeKind
	// errs are one or more errors of the decoder, in the kubelet's words.
	errs []error
	// apiVersion and documentKind are what the document says it is.
	apiVersion, documentKind string
}

type decodeKind int

const (
	badSyntax decodeKind = iota
	badMeta              // apiVersion or kind is missing or no string
	unknownKind
	wrongKind
	badType // a value of the wrong type, or a duration that cannot be read
	strict  // unknown and duplicate fields
)

// kubeletWords is an error in the words of the kubelet.
type kubeletWords string

func (w kubeletWords) Error() string { return string(w) }

// Error is the kubelet's error, without the document, which may hold secrets.
func (e *decodeError) Error() string {
	if e.kind == strict {
		parts := make([]string, len(e.errs))
		for i, err := range e.errs {
			parts[i] = err.Error()
		}
		return "strict decoding error: " + strings.Join(parts, ", ")
	}
	return e.errs[0].Error()
}

// decode reads the first document of data as the kubelet does: JSON where it
// begins with a brace, else YAML 1.1 turned into JSON, then case-sensitively and
// strictly (k8s.io/apimachinery pkg/runtime/serializer/json).
func decode(data []byte) (credentialProviderConfig, *decodeError) {
	var c credentialProviderConfig
	isYAML := !bytes.HasPrefix(bytes.TrimLeftFunc(data, unicode.IsSpace), []byte("{"))
	document := data
	if isYAML {
		converted, err := yamlToJSON(data)
		if err != nil {
			return c, &decodeError{kind: badSyntax, errs: []error{err}}
		}
		document = converted
	}
	var meta struct {
		APIVersion string `json:"apiVersion,omitempty"`
		Kind       string `json:"kind,omitempty"`
	}
	if err := json.Unmarshal(document, &meta); err != nil {
		kind := badMeta
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			kind = badSyntax
		}
		return c, &decodeError{kind: kind, errs: []error{fmt.Errorf("couldn't get version/kind; json parse error: %w", err)}}
	}
	fail := func(kind decodeKind, errs ...error) (credentialProviderConfig, *decodeError) {
		return credentialProviderConfig{}, &decodeError{kind: kind, errs: errs, apiVersion: meta.APIVersion, documentKind: meta.Kind}
	}
	if strings.Count(meta.APIVersion, "/") > 1 {
		return fail(badMeta, fmt.Errorf("unexpected GroupVersion string: %v", meta.APIVersion))
	}
	group, version, found := strings.Cut(meta.APIVersion, "/")
	if !found {
		group, version = "", meta.APIVersion
	}
	switch {
	case meta.Kind == "":
		return fail(badMeta, kubeletWords("Object 'Kind' is missing"))
	case version == "":
		return fail(badMeta, kubeletWords("Object 'apiVersion' is missing"))
	case isOtherKind(group, version, meta.Kind):
		return fail(wrongKind, fmt.Errorf("failed to decode %q (wrong Kind)", meta.Kind))
	}
	var target any
	var older olderConfig
	switch Feature(meta.APIVersion) {
	case ConfigV1:
		target = &c
	case ConfigV1beta1, ConfigV1alpha1:
		target = &older
	}
	if target == nil || meta.Kind != configKind {
		return fail(unknownKind, fmt.Errorf("no kind %q is registered for version %q in scheme %q", meta.Kind, strings.TrimPrefix(meta.APIVersion, "/"), "pkg/credentialprovider/plugin/plugin.go:57"))
	}
	var errs []error
	if isYAML {
		if _, err := yamlToJSONStrict(data); err != nil {
			errs = append(errs, err)
		}
	}
	strictErrs, err := kjson.UnmarshalStrict(document, target)
	if err != nil {
		return fail(badType, kubeletTypes(err, version))
	}
	if errs = append(errs, strictErrs...); len(errs) > 0 {
		return fail(strict, errs...)
	}
	if Feature(meta.APIVersion) != ConfigV1 {
		c = older.config()
	}
	return c, nil
}

// kubeletTypes names the types of a decoder's error as the kubelet does.
func kubeletTypes(err error, version string) error {
	return kubeletWords(strings.NewReplacer(
		"olderConfig", configKind, "credentialProviderConfig", configKind, "olderProvider", "CredentialProvider",
		"type imagecred.olderProvider", "type "+version+".CredentialProvider", "type []imagecred.olderProvider", "type []"+version+".CredentialProvider",
		"type imagecred.", "type "+version+".", "type []imagecred.", "type []"+version+".").Replace(err.Error()))
}

// isOtherKind tells whether the kubelet's decoder knows the kind and the kubelet
// then refuses it.
func isOtherKind(group, version, kind string) bool {
	switch group {
	case configGroup:
		return version == "v1beta1" && (kind == "KubeletConfiguration" || kind == "SerializedNodeConfigSource")
	case pluginGroup:
		known := version == "v1" || version == "v1beta1" || version == "v1alpha1"
		return known && (kind == "CredentialProviderRequest" || kind == "CredentialProviderResponse")
	}
	return false
}

// yamlToJSON converts with the YAML library that the kubelet uses. A panic of
// it is an error here, for the sake of those who judge other people's files.
func yamlToJSON(data []byte) ([]byte, error) { return guarded(kyaml.YAMLToJSON, data) }

func yamlToJSONStrict(data []byte) ([]byte, error) { return guarded(kyaml.YAMLToJSONStrict, data) }

func guarded(f func([]byte) ([]byte, error), data []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	return f(data)
}

package imagecred

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	kyaml "sigs.k8s.io/yaml"
)

// DockerConfig is a docker config or an imagePullSecret, as the kubelet reads it.
type DockerConfig struct {
	// Source is what attempts are called that come from it.
	Source string
	Logins map[string]Login
	// Ignored are fields that docker would use and the kubelet does not.
	Ignored []string
	// Broken is set for an imagePullSecret that cannot be decoded: the kubelet's
	// error, with which each pull of the pod fails.
	Broken string
}

// PassedOverError is an imagePullSecret that the kubelet does not use, without a
// word.
type PassedOverError struct{ why string }

func (e *PassedOverError) Error() string { return e.why }

// dockerFile is a config.json, as far as the kubelet decodes it: without regard
// to case, and passing over what it does not know.
type dockerFile struct {
	Auths       map[string]dockerEntry `json:"auths"`
	HTTPHeaders map[string]string      `json:"HttpHeaders"`
}

// dockerEntry is a login in a docker config, whose auth wins over the rest.
type dockerEntry struct{ Username, Password string }

// UnmarshalJSON fails for an auth that is no base64 of user:password.
func (e *dockerEntry) UnmarshalJSON(data []byte) error {
	var fields struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Email    string `json:"email"`
		Auth     string `json:"auth"`
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	e.Username, e.Password = fields.Username, fields.Password
	if fields.Auth == "" {
		return nil
	}
	var err error
	if e.Username, e.Password, err = decodeAuth(fields.Auth); err != nil {
		return &authError{err}
	}
	return nil
}

// authError is an auth that cannot be decoded.
type authError struct{ err error }

func (e *authError) Error() string { return e.err.Error() }

// ReadDockerConfig reads a config.json with auths, a .dockercfg, or a Secret of
// type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg in YAML or JSON
// (pkg/credentialprovider/config.go and secrets/secrets.go). Errors hold nothing
// of the content; for a Secret see [PullSecret].
func ReadDockerConfig(source string, data []byte) (DockerConfig, error) {
	d := DockerConfig{Source: source}
	var secret struct {
		Kind       string `json:"kind"`
		Type       string `json:"type"`
		Metadata   struct{ Name, Namespace string }
		Data       map[string]string `json:"data"`
		StringData map[string]string `json:"stringData"`
	}
	if kyaml.Unmarshal(data, &secret) != nil || secret.Kind != "Secret" {
		return readDocker(d, data)
	}
	decoded := map[string][]byte{}
	for field, text := range secret.Data {
		content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return d, fmt.Errorf("the Secret's %s is no base64", field)
		}
		decoded[field] = content
	}
	for field, text := range secret.StringData {
		decoded[field] = []byte(text)
	}
	name := "imagePullSecret " + secret.Metadata.Name
	if secret.Metadata.Name == "" {
		name = source
	}
	return PullSecret(name, secret.Type, decoded)
}

// PullSecret reads an imagePullSecret of that type. The error is a
// [*PassedOverError]; what else is wrong with it is in Broken
// (secretsToTrackedDockerConfigs in pkg/credentialprovider/secrets/secrets.go).
func PullSecret(source, kind string, data map[string][]byte) (DockerConfig, error) {
	d := DockerConfig{Source: source}
	field, ok := map[string]string{"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}[kind]
	if !ok {
		return d, &PassedOverError{fmt.Sprintf("a Secret of type %q: the kubelet reads only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg, and passes this one over", shown(kind))}
	}
	content := data[field]
	if len(content) == 0 {
		return d, &PassedOverError{fmt.Sprintf("the Secret has no %s, so the kubelet passes it over", field)}
	}
	var entries map[string]dockerEntry
	var err error
	if field == ".dockercfg" {
		err = json.Unmarshal(content, &entries)
	} else {
		var whole dockerFile
		err = json.Unmarshal(content, &whole)
		entries = whole.Auths
		d.Ignored = ignoredFields(content)
	}
	if err != nil {
		d.Broken = err.Error()
		return d, nil
	}
	d.add(entries)
	return d, nil
}

func (d *DockerConfig) add(entries map[string]dockerEntry) {
	d.Logins = map[string]Login{}
	for location, e := range entries {
		d.Logins[location] = Login{e.Username, Secret(e.Password)}
	}
}

func ignoredFields(data []byte) []string {
	var top map[string]json.RawMessage
	if json.Unmarshal(data, &top) != nil {
		return nil
	}
	var out []string
	for _, field := range []string{"credHelpers", "credsStore"} {
		if _, ok := top[field]; ok {
			out = append(out, field)
		}
	}
	return out
}

// readDocker reads a config.json or a .dockercfg, which the kubelet tells apart
// by their names.
func readDocker(d DockerConfig, data []byte) (DockerConfig, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return d, errors.New("no JSON object, which a docker config is")
	}
	d.Ignored = ignoredFields(data)
	hasAuths := len(d.Ignored) > 0
	for field := range top {
		hasAuths = hasAuths || strings.EqualFold(field, "auths")
	}
	var bad *authError
	if hasAuths {
		var whole dockerFile
		switch err := json.Unmarshal(data, &whole); {
		case errors.As(err, &bad):
			return d, errors.New("an auth in it is no base64 of user:password, so the kubelet drops the whole file")
		case err != nil:
			return d, errors.New("auths is not what it should be, so the kubelet drops the whole file")
		}
		d.add(whole.Auths)
		return d, nil
	}
	var entries map[string]dockerEntry
	switch err := json.Unmarshal(data, &entries); {
	case errors.As(err, &bad):
		return d, errors.New("an auth in it is no base64 of user:password, so the kubelet drops the whole file")
	case err != nil:
		return d, errors.New("neither a config.json with auths nor a .dockercfg")
	}
	d.add(entries)
	return d, nil
}

// decodeAuth decodes base64(user:password), with or without padding.
func decodeAuth(field string) (user, password string, err error) {
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(strings.TrimSpace(field), "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := encoding.DecodeString(field)
	if err != nil {
		return "", "", err
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return "", "", errors.New("unable to parse auth field, must be formatted as base64(username:password)")
	}
	return user, password, nil
}

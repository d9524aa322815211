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
}

// dockerEntry is a login in a docker config. The kubelet decodes without regard
// to case and passes over what it does not know.
type dockerEntry struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// ReadDockerConfig reads a config.json with auths, a .dockercfg, or a Secret of
// type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg in YAML or JSON
// (pkg/credentialprovider/config.go and secrets/secrets.go). Errors hold nothing
// of the content.
func ReadDockerConfig(source string, data []byte) (DockerConfig, error) {
	d := DockerConfig{Source: source}
	var secret struct {
		Kind       string `json:"kind"`
		Type       string `json:"type"`
		Metadata   struct{ Name, Namespace string }
		Data       map[string]string `json:"data"`
		StringData map[string]string `json:"stringData"`
	}
	if kyaml.Unmarshal(data, &secret) == nil && secret.Kind == "Secret" {
		return readSecret(d, secret.Type, secret.Metadata.Name, secret.Data, secret.StringData)
	}
	return readDocker(d, data)
}

func readSecret(d DockerConfig, kind, name string, data, stringData map[string]string) (DockerConfig, error) {
	if name != "" {
		d.Source = "imagePullSecret " + name
	}
	field, ok := map[string]string{"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}[kind]
	if !ok {
		return d, fmt.Errorf("a Secret of type %q: the kubelet reads only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg, and passes this one over", shown(kind))
	}
	if text, ok := stringData[field]; ok {
		return readDocker(d, []byte(text))
	}
	text, ok := data[field]
	if !ok || text == "" {
		return d, fmt.Errorf("the Secret has no %s, so the kubelet passes it over", field)
	}
	content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return d, fmt.Errorf("the Secret's %s is no base64", field)
	}
	return readDocker(d, content)
}

func readDocker(d DockerConfig, data []byte) (DockerConfig, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return d, errors.New("no JSON object, which a docker config is")
	}
	for _, field := range []string{"credHelpers", "credsStore"} {
		if _, ok := top[field]; ok {
			d.Ignored = append(d.Ignored, field)
		}
	}
	var whole struct {
		Auths map[string]dockerEntry `json:"auths"`
	}
	entries := map[string]dockerEntry{}
	if _, ok := top["auths"]; ok || len(d.Ignored) > 0 {
		if err := json.Unmarshal(data, &whole); err != nil {
			return d, errors.New("auths is not what it should be, so the kubelet drops the whole file")
		}
		entries = whole.Auths
	} else if err := json.Unmarshal(data, &entries); err != nil {
		return d, errors.New("neither a config.json with auths nor a .dockercfg")
	}
	d.Logins = map[string]Login{}
	for location, e := range entries {
		if e.Auth != "" {
			user, password, err := decodeAuth(e.Auth)
			if err != nil {
				return d, fmt.Errorf("the auth of %s is no base64 of user:password, so the kubelet drops the whole file", quote(shown(location)))
			}
			e.Username, e.Password = user, password
		}
		d.Logins[location] = Login{e.Username, Secret(e.Password)}
	}
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
		return "", "", errors.New("no colon")
	}
	return user, password, nil
}

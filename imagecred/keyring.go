package imagecred

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Login is a user name and a password for a registry, as somebody gives it.
type Login struct {
	Username string
	Password Secret
}

// Attempt is a login that the kubelet hands to the container runtime. It tries
// one after the other until a pull succeeds.
type Attempt struct {
	// Provider is who gave it: a provider's name, or "imagePullSecret NAME", or
	// "docker config of the node".
	Provider string
	// Key is the registry, with or without a path, that it is for.
	Key string
	Login
	// CacheKeyType is for what the kubelet uses the answer again, "" for a login
	// that no plugin gave.
	CacheKeyType string
	// ExpiresAt is when the kubelet forgets it; zero where it is not kept, or
	// was not given by a plugin.
	ExpiresAt time.Time
}

// keyring orders logins as BasicDockerKeyring does (pkg/credentialprovider/keyring.go).
type keyring struct {
	attempts map[string][]Attempt
}

// add puts a set of logins in, by the location for which each is. Locations that
// come to the same key are taken in the order of their names; the kubelet takes
// them in any.
func (k *keyring) add(from Attempt, logins map[string]Login) {
	if k.attempts == nil {
		k.attempts = map[string][]Attempt{}
	}
	locations := make([]string, 0, len(logins))
	for l := range logins {
		locations = append(locations, l)
	}
	slices.Sort(locations)
	for _, l := range locations {
		key, ok := keyOf(l)
		if !ok {
			continue // the kubelet logs it and goes on
		}
		a := from
		a.Key, a.Login = key, logins[l]
		k.attempts[key] = append(k.attempts[key], a)
	}
}

// keyOf is the key under which the kubelet files a location: host and path,
// without scheme and without the registry API's version.
func keyOf(location string) (string, bool) {
	rest, ok := strings.CutPrefix(location, "https://")
	if !ok {
		rest = strings.TrimPrefix(location, "http://")
	}
	u, err := url.Parse(lenientScheme + rest)
	if err != nil {
		return "", false
	}
	path := u.Path
	if strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/v1/") {
		path = path[len("/v2"):]
	}
	if path == "" || path == "/" {
		return u.Host, true
	}
	return u.Host + path, true
}

// defaultRegistry is the key that stands for Docker Hub where nothing else does.
const defaultRegistry = "index.docker.io"

// lookup returns the attempts for a repository: of all keys that match it the
// one that sorts last comes first, so longer paths come before shorter ones.
func (k *keyring) lookup(t *Target) []Attempt {
	keys := make([]string, 0, len(k.attempts))
	for key := range k.attempts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	var out []Attempt
	for _, key := range keys {
		if p, err := Compile(key); err == nil && p.Match(t) {
			out = append(out, k.attempts[key]...)
		}
	}
	if len(out) == 0 && onDockerHub(t.repository) {
		out = append(out, k.attempts[defaultRegistry]...)
	}
	return out
}

// onDockerHub is isDefaultRegistryMatch of the same file.
func onDockerHub(image string) bool {
	first, _, more := strings.Cut(image, "/")
	switch {
	case first == "":
		return false
	case !more, first == "docker.io", first == defaultRegistry:
		return true
	}
	return !strings.ContainsAny(first, ".:")
}

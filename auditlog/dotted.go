package auditlog

// Engines that index what they hold change an event's keys that have dots in
// them: Elastic's agent and Fluentd write "authentication_k8s_io/stale-token",
// BigQuery "authentication_k8s_io_stale_token", and others make objects of the
// parts, {"authentication":{"k8s":{"io/stale-token":...}}}.

// sameKey tells whether a key is the name, or what an engine made of it.
func sameKey(key []byte, name string) bool {
	if len(key) != len(name) {
		return false
	}
	for i, c := range key {
		if c == name[i] {
			continue
		}
		if c != '_' || name[i] != '.' && name[i] != '/' && name[i] != '-' {
			return false
		}
	}
	return true
}

// names of the keys that are looked for, "" for none.
type names [4]string

// The latter are the keys of k8s.io/apiserver pkg/authentication/serviceaccount/util.go.
var (
	noteNames  = names{staleKey, issuedKey}
	extraNames = names{extraPrefix + "credential-id", extraPrefix + "pod-name", extraPrefix + "pod-uid", extraPrefix + "node-name"}
)

// dotted calls found with the place of each name that is a key of the object at
// w.i, or of objects in it; found must pass over the value.
func (w *walker) dotted(of names, found func(i int) error) error {
	if w.peek() != '{' {
		return w.skip()
	}
	return w.object(func(key []byte) error {
		var rest names
		nested := false
		for i, name := range of {
			if name == "" {
				continue
			}
			if sameKey(key, name) {
				return found(i)
			}
			if n := len(key); n < len(name) && name[n] == '.' && string(key) == name[:n] {
				rest[i], nested = name[n+1:], true
			}
		}
		if nested {
			return w.dotted(rest, found)
		}
		return w.skip()
	})
}

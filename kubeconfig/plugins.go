package kubeconfig

import (
	_ "embed"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"
)

// Plugin is what is known of an exec plugin, as data with sources.
type Plugin struct {
	Name string `json:"name"`
	// Commands are the file names under which it is found.
	Commands []string `json:"commands"`
	// Args must all stand among the arguments, AnyArg at least one of them.
	Args   []string `json:"args,omitempty"`
	AnyArg []string `json:"anyArg,omitempty"`
	// Speaks lists the protocol versions from each release on, oldest first.
	Speaks []Speaks `json:"speaks"`
	// Oldest is the first release that speaks what the newest does; "" where all do.
	Oldest  string   `json:"oldest,omitempty"`
	Install string   `json:"install"`
	Sources []string `json:"sources"`
}

// Speaks says which versions of client.authentication.k8s.io a plugin answers
// from a release on.
type Speaks struct {
	Since    string   `json:"since"`
	Versions []string `json:"versions"` // newest first
	Note     string   `json:"note"`
}

//go:embed plugins.json
var pluginData []byte

var knownPlugins = sync.OnceValue(func() []Plugin {
	var list []Plugin
	if err := json.Unmarshal(pluginData, &list); err != nil {
		panic(err) // the data is part of the program and tested
	}
	return list
})

// Plugins lists the plugins that are known.
func Plugins() []Plugin { return slices.Clone(knownPlugins()) }

// Versions are what the plugin's newest release speaks, newest first.
func (p Plugin) Versions() []string { return p.Speaks[len(p.Speaks)-1].Versions }

// Knows tells whether the newest release speaks a version.
func (p Plugin) Knows(version string) bool { return slices.Contains(p.Versions(), version) }

// PluginOf recognises the plugin of an exec block by its command and arguments.
func PluginOf(command string, args []string) (Plugin, bool) {
	base := commandBase(command)
	for _, p := range knownPlugins() {
		if slices.Contains(p.Commands, base) && hasAll(args, p.Args) && hasAny(args, p.AnyArg) {
			return p, true
		}
	}
	return Plugin{}, false
}

// commandBase is a command's file name, in lower case and without .exe.
func commandBase(command string) string {
	base := strings.ToLower(path.Base(strings.ReplaceAll(command, `\`, "/")))
	for _, suffix := range []string{".exe", ".cmd", ".bat"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return base
}

func hasAll(args, want []string) bool {
	for _, w := range want {
		if !slices.Contains(args, w) {
			return false
		}
	}
	return true
}

func hasAny(args, want []string) bool {
	if len(want) == 0 {
		return true
	}
	for _, a := range args {
		name, _, _ := strings.Cut(a, "=")
		if slices.Contains(want, name) {
			return true
		}
	}
	return false
}

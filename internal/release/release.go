// Package release tells which version of kubecred this is.
package release

import "runtime/debug"

// version is set by the build of a release:
//
//	-ldflags '-X github.com/kubecred/kubecred/internal/release.version=v1.2.3'
var version = ""

// Version is the release's version, what the Go toolchain stamped (a module version,
// or "(devel)" with what it knows of the checkout), or "(devel)".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

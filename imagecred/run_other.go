//go:build !unix

package imagecred

import "os/exec"

// endWithChildren leaves the plugin to be ended by the context; Windows has no
// process groups, so what it started outlives it.
func endWithChildren(*exec.Cmd) {}

func endChildren(*exec.Cmd) {}

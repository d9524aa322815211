// Package start keeps the garbage collector from running before a program's main
// function does. Packages of Kubernetes and of the AWS SDK make tables when they
// are initialized, all of which stay: the collector would find nothing there, and
// looking takes a fifth of a short command's time.
//
// Go initializes packages in the order of their import paths, as soon as all that
// they import is initialized (The Go Programming Language Specification, Program
// initialization). This one imports nothing that comes late, and so it comes
// before those.
package start

import "runtime/debug"

// percent is what GOGC asked for.
var percent = debug.SetGCPercent(-1)

// Done lets the collector run as GOGC says, from when main begins.
func Done() { debug.SetGCPercent(percent) }

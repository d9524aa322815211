// Package lazyexp makes regular expressions where they are used first. A program
// with a hundred of them, of which a command needs three, would spend a tenth of
// its start on the others.
package lazyexp

import (
	"regexp"
	"sync"
)

// New returns what regexp.MustCompile makes of the expression, which is made
// by the first call and panics there if the expression is none.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// Package plainjson takes JSON (RFC 8259) apart into the members of objects,
// and writes strings.
//
// kubecred-exec is run in front of every call of a client, and what encoding/json
// makes ready when a program starts is more than all that is read there (see
// docs/benchmarks.md). This package makes nothing ready. What it takes for valid,
// where it finds a fault and what a string means are the same as in encoding/json;
// a fuzz target holds the two together.
package plainjson

import "strconv"

// SyntaxError says that text is not valid JSON.
type SyntaxError struct {
	// Offset is the number of bytes read when the fault was found, the one at
	// fault among them; 0 where the text ends too early.
	Offset int
}

func (e *SyntaxError) Error() string {
	if e.Offset == 0 {
		return "JSON ends too early"
	}
	return "not valid JSON at byte " + strconv.Itoa(e.Offset)
}

// Member is one name of an object with its value, not decoded and without the
// white space around it.
type Member struct {
	Name string
	Raw  []byte
}

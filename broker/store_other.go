//go:build !unix

package broker

import "os"

const (
	ownersMatter = false

	openFlags = 0
	nonBlock  = 0
)

// foreign has nothing to say where files have no owner and mode of this kind:
// the user's own cache directory keeps others out.
func foreign(os.FileInfo, os.FileMode) string { return "" }

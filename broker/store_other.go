//go:build !unix

package broker

import "os"

const (
	ownersMatter = false

	noFollow = 0
	nonBlock = 0
)

func ownerOf(os.FileInfo) int { return -1 }

// foreign has nothing to say where files have no owner and mode of this kind:
// the user's own cache directory keeps others out.
func (state) foreign(os.FileMode) string { return "" }

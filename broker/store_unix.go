//go:build unix

package broker

import (
	"fmt"
	"os"
	"syscall"
)

// ownersMatter: the system has users and modes.
const ownersMatter = true

// noFollow keeps a link that lies in the cache from being followed.
const noFollow = syscall.O_NOFOLLOW

// nonBlock keeps a pipe in the place of a file from being waited for.
const nonBlock = syscall.O_NONBLOCK

// foreign says in what way a file is not the user's own and for the user alone,
// or "". allow is the widest mode.
func (s state) foreign(allow os.FileMode) string {
	if me := os.Geteuid(); s.owner >= 0 && s.owner != me {
		return fmt.Sprintf("belongs to user %d, not to %d who runs this", s.owner, me)
	}
	if perm := s.mode.Perm(); perm&^allow != 0 {
		return fmt.Sprintf("has the mode %04o, which lets others in: chmod %04o", perm, allow)
	}
	return ""
}

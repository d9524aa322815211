//go:build unix

package broker

import (
	"fmt"
	"os"
	"syscall"
)

// ownersMatter: the system has users and modes.
const ownersMatter = true

// openFlags keep a link or a pipe that lies in the cache from being followed or
// waited for.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// nonBlock keeps a pipe in the place of a config file from being waited for.
const nonBlock = syscall.O_NONBLOCK

// foreign says in what way a file is not the user's own and for the user alone,
// or "". allow is the widest mode.
func foreign(info os.FileInfo, allow os.FileMode) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Sprintf("belongs to user %d, not to %d who runs this", stat.Uid, os.Geteuid())
	}
	if perm := info.Mode().Perm(); perm&^allow != 0 {
		return fmt.Sprintf("has the mode %04o, which lets others in: chmod %04o", perm, allow)
	}
	return ""
}

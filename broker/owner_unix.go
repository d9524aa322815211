//go:build unix && !linux

package broker

import (
	"os"
	"syscall"
)

func ownerOf(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

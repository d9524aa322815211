package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// leaveStart gives back the pages of the program itself that only its start
// needed: the code and the tables of much that a scan never runs. They are clean
// copies of the file, and come back from it by themselves where they are used.
// It does nothing where the program was linked to be moved, since there tables
// hold addresses that the file does not.
func leaveStart() {
	const (
		dontNeed = 4        // MADV_DONTNEED
		fixed    = 0x400000 // where the linker puts a program that is not moved
	)
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	first := true
	for sc := bufio.NewScanner(maps); sc.Scan(); {
		var from, to uintptr
		var mode string
		line := sc.Text()
		if !strings.HasSuffix(line, " "+self) {
			continue
		}
		if n, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || err != nil || first && from != fixed {
			return
		}
		first = false
		if mode == "r-xp" || mode == "r--p" {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, dontNeed)
		}
	}
}

package cli

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestLeaveStart: after its start's pages were given back the program goes on,
// with fewer pages of files in memory.
func TestLeaveStart(t *testing.T) {
	pages := func() int {
		data, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("no /proc here:", err)
		}
		_, rest, _ := strings.Cut(string(data), "RssFile:")
		n, _ := strconv.Atoi(strings.Fields(rest)[0])
		return n
	}
	before := pages()
	leaveStart()
	if after := pages(); after > before {
		t.Errorf("%d kB of files before, %d kB after", before, after)
	}
}

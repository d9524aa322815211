//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// memory is what a server takes while it is asked, sample after sample.
type memory struct {
	server *server
	kb     []int
	files  []int
}

// watch takes samples until ctx ends.
func (m *memory) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.kb = append(m.kb, m.server.rss())
			open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.server.cmd.Process.Pid))
			m.files = append(m.files, len(open))
		}
	}
}

// verdict compares the last third with the third before it; the first one,
// while caches fill, does not count. A tenth and 8 MB more are let pass: the
// garbage collector's rhythm makes as much.
func (m *memory) verdict() (string, error) {
	n := len(m.kb) / 3
	if n == 0 || slices.Contains(m.kb, 0) {
		return "", errors.New("the server's memory could not be read all the time")
	}
	first, middle, last := slices.Max(m.kb[:n]), slices.Max(m.kb[n:2*n]), slices.Max(m.kb[2*n:])
	text := fmt.Sprintf("memory at most %d MB in the first third, %d MB in the second, %d MB in the last; at most %d open files",
		first>>10, middle>>10, last>>10, slices.Max(m.files))
	if last > middle+middle/10+8<<10 {
		return text, errors.New("memory grows: " + text)
	}
	return text, nil
}

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows a person on a terminal how much of long work is done. It
// stays out of the way of work that takes less than a second, and where stderr
// is no terminal it does nothing: its methods work on nil.
type progress struct {
	read  atomic.Int64
	quit  chan struct{}
	ended sync.WaitGroup
}

// startProgress begins to show the bytes read of the named files and folders.
// Where one of them has no size, as stdin, it shows the bytes alone.
func (a *app) startProgress(what string, names []string) *progress {
	if !isTerminal(a.Stderr) {
		return nil
	}
	p := &progress{quit: make(chan struct{})}
	p.ended.Go(func() {
		select {
		case <-p.quit:
			return
		case <-time.After(time.Second):
		}
		bar := progressbar.NewOptions64(totalSize(names),
			progressbar.OptionSetWriter(a.Stderr), progressbar.OptionSetDescription(what),
			progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
		defer func() { _ = bar.Clear() }()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			_ = bar.Set64(p.read.Load()) // a terminal that is gone is no reason to stop
			select {
			case <-p.quit:
				return
			case <-tick.C:
			}
		}
	})
	return p
}

// totalSize is the size of the named files and of all below the named folders,
// or -1 where that is not known.
func totalSize(names []string) int64 {
	var total int64
	for _, name := range names {
		err := filepath.WalkDir(name, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return nil // a dangling link; the scan says so
			}
			switch {
			case info.Mode().IsRegular():
				total += info.Size()
			case !info.IsDir():
				return fs.ErrInvalid
			}
			return nil
		})
		if err != nil {
			return -1
		}
	}
	return total
}

// done is where the work counts the bytes that it has read; nil for nobody.
func (p *progress) done() *atomic.Int64 {
	if p == nil {
		return nil
	}
	return &p.read
}

func (p *progress) stop() {
	if p == nil {
		return
	}
	close(p.quit)
	p.ended.Wait()
}

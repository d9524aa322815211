package authenticator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kubecred/kubecred/iammap"
)

// File is a feed of a file. It is read again when its content changes; a
// mounted ConfigMap changes by a symbolic link, which no watch on the file
// itself would see, so it is looked at every Every.
type File struct {
	Path  string
	Every time.Duration // 0 for a second
	// Config marks the server's config file: only what a config file says is
	// taken of it, and it may map nobody.
	Config bool
	// SettingsOnly leaves the entries of a config file out, so that only its
	// reserved prefixes and the like count.
	SettingsOnly bool
}

// Name is the path.
func (f *File) Name() string { return f.Path }

// Run implements Feed.
func (f *File) Run(ctx context.Context, set func([]*iammap.Source, error)) {
	every := f.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last [sha256.Size]byte
	var stat os.FileInfo
	first, failed := true, false
	for {
		info, err := os.Stat(f.Path)
		if err == nil && !first && !failed && stat != nil && os.SameFile(info, stat) && info.ModTime().Equal(stat.ModTime()) && info.Size() == stat.Size() && time.Since(info.ModTime()) > 2*every {
			err = nil // unchanged, and old enough for its time to tell
		} else {
			var data []byte
			if err == nil {
				data, err = readFile(f.Path)
			}
			sum := sha256.Sum256(data)
			switch {
			case err != nil:
				set(nil, err)
			case first || failed || sum != last:
				set(f.parse(data))
			}
			failed = err != nil
			last, stat, first = sum, info, false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, iammap.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Read reads the file once.
func (f *File) Read() ([]*iammap.Source, error) {
	data, err := readFile(f.Path)
	if err != nil {
		return nil, err
	}
	sources, err := f.parse(data)
	for _, s := range sources {
		err = errors.Join(err, s.Err())
	}
	return sources, err
}

func (f *File) parse(data []byte) ([]*iammap.Source, error) {
	sources, err := iammap.Read(f.Path, data)
	if !f.Config {
		return sources, err
	}
	if errors.Is(err, iammap.ErrUnknownFormat) {
		return []*iammap.Source{}, nil
	}
	kept := []*iammap.Source{}
	for _, s := range sources {
		if s.Format != iammap.ConfigFile {
			continue
		}
		if f.SettingsOnly {
			s.Entries, s.Dead = nil, nil
		}
		kept = append(kept, s)
	}
	return kept, err
}

// Polled is a feed that asks again and again, for sources that do not tell
// when they change.
type Polled struct {
	Title string
	Every time.Duration
	// Fetch returns the source's text in one of the formats of iammap; nil for
	// a source that is empty.
	Fetch func(context.Context) ([]byte, error)
}

// Name is the title.
func (p *Polled) Name() string { return p.Title }

// Run implements Feed.
func (p *Polled) Run(ctx context.Context, set func([]*iammap.Source, error)) {
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	var last [sha256.Size]byte
	first := true
	for {
		data, err := p.Fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		sum := sha256.Sum256(data)
		switch {
		case err != nil:
			set(nil, err)
			first = true
		case first || sum != last:
			set(parseOrEmpty(p.Title, data))
			last, first = sum, false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Watched is a feed whose source tells when it changes.
type Watched struct {
	Title string
	// Watch calls changed with each state of the source's text, nil for a
	// source that is empty or gone, until ctx ends.
	Watch func(ctx context.Context, changed func(data []byte, err error))
}

// Name is the title.
func (w *Watched) Name() string { return w.Title }

// Run implements Feed.
func (w *Watched) Run(ctx context.Context, set func([]*iammap.Source, error)) {
	w.Watch(ctx, func(data []byte, err error) {
		if err != nil {
			set(nil, err)
			return
		}
		set(parseOrEmpty(w.Title, data))
	})
}

func parseOrEmpty(name string, data []byte) ([]*iammap.Source, error) {
	if len(data) == 0 {
		return []*iammap.Source{}, nil
	}
	return iammap.Read(name, data)
}

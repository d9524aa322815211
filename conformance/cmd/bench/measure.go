//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peaks is how often the memory of a row is measured.
const peaks = 7

// measure runs the rows in turn, so that what else the machine does meets all of
// them alike.
func (p place) measure(ctx context.Context, rows []*row, runs int) error {
	for _, r := range rows {
		if _, err := p.once(ctx, r); err != nil { // warms caches, and finds what does not work
			return err
		}
		var seen []int64
		n := peaks
		if r.slow {
			n = 3
		}
		for range n {
			o, err := p.once(ctx, r, "-peak")
			if err != nil {
				return err
			}
			seen = append(seen, o.peak)
		}
		slices.Sort(seen)
		r.peak = seen[len(seen)/2]
	}
	for i := range runs {
		for _, r := range rows {
			if r.slow && i%8 != 0 {
				continue
			}
			o, err := p.once(ctx, r)
			if err != nil {
				return err
			}
			r.times = append(r.times, o.took)
		}
	}
	return nil
}

// outcome is what the launcher says of a run.
type outcome struct {
	took time.Duration
	peak int64 // bytes
}

// once runs a command through the launcher: each time another parent, or
// kubecred-exec would rightly take the second question for a refusal.
func (p place) once(ctx context.Context, r *row, flags ...string) (outcome, error) {
	cache := filepath.Join(p.dir, "cache")
	if r.cold { // in a place of its own, or the next warm run would be none
		cache += "-cold"
		files, _ := filepath.Glob(filepath.Join(cache, "*"))
		for _, name := range files {
			if err := os.Remove(name); err != nil {
				return outcome{}, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	result := filepath.Join(p.dir, "result")
	cmd := exec.CommandContext(ctx, p.programs["launch"], slices.Concat(flags, []string{result}, r.argv)...)
	cmd.Env, cmd.Dir = append(slices.Clip(p.env), "KUBECRED_CACHE_DIR="+cache), p.dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Stdin = strings.NewReader(r.stdin)
	err := cmd.Run()
	data, readErr := os.ReadFile(result)
	var o outcome
	var status int
	if err == nil && readErr == nil {
		_, err = fmt.Sscan(string(data), &o.took, &o.peak, &status)
	}
	switch {
	case err != nil || readErr != nil:
		err = errors.Join(err, readErr)
	case status != 0:
		err = fmt.Errorf("exit status %d", status)
	case out.Len() == 0:
		err = errors.New("no answer")
	default:
		return o, nil
	}
	return outcome{}, fmt.Errorf("%s: %w\n%s", r.name, err, errs.String())
}

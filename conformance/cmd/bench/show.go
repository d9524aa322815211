//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// show prints a table. A ratio is of the row's time to that of the row it is
// compared with, and so for memory; with the promise, where there is one.
func show(out io.Writer, rows []*row) {
	fmt.Fprintln(out, "| what | median | peak memory | beside | time | promised | memory | promised |")
	fmt.Fprintln(out, "| --- | --: | --: | --- | --: | --: | --: | --: |")
	byName := map[string]*row{}
	for _, r := range rows {
		byName[r.name] = r
	}
	for _, r := range rows {
		head := fmt.Sprintf("| %s | %s | %.1f MiB |", r.name, r.median().Round(10*time.Microsecond), float64(r.peak)/(1<<20))
		for _, l := range r.against {
			b, ok := byName[l.than]
			if !ok {
				continue
			}
			fmt.Fprintf(out, "%s %s | %s | %s |\n", head, l.than,
				compared(r.median().Seconds()/b.median().Seconds(), l.time), compared(float64(r.peak)/float64(b.peak), l.memory))
			head = "| | | |"
		}
		if len(r.against) == 0 {
			fmt.Fprintln(out, head+" | | | | |")
		}
	}
}

// compared is two cells: a ratio, and what is promised of it.
func compared(ratio, most float64) string {
	switch {
	case most == 0:
		return times(ratio) + " |"
	case ratio <= most:
		return times(ratio) + " | " + times(most) + ", kept"
	}
	return times(ratio) + " | " + times(most) + ", not kept"
}

// times writes a ratio, and below a third as 1/n.
func times(ratio float64) string {
	switch {
	case ratio < 1./100:
		return fmt.Sprintf("1/%.0f", 1/ratio)
	case ratio < 1./3:
		return fmt.Sprintf("1/%.1f", 1/ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

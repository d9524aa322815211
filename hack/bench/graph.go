package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// costSizes are the sizes of the logs whose scans are drawn.
var costSizes = []int64{10e6, 30e6, 100e6, 300e6, 1e9, 3e9, 10e9}

// series is a line of the graph.
type series struct {
	name, colour string
	argv         []string // the log's name is added
	at           []result
}

// drawCosts times scans of one log that grows, writes the graph, and prints the
// figures.
func drawCosts(file string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "kubecred-graph-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in, err := build(dir)
	if err != nil {
		return err
	}
	scan := []string{in.kubecred, "tokens", "scan", "--now", logEnd, "--fail-on", "never", "-o", "json"}
	lines := []*series{
		{name: "tokens scan", colour: "#0b6bcb", argv: scan},
		{name: "tokens scan --marks", colour: "#1b7f4b", argv: append(scan[:len(scan):len(scan)], "--marks")},
	}
	if rg, err := exec.LookPath("rg"); err == nil {
		lines = append(lines, &series{name: "rg -cF", colour: "#8a5a00", argv: []string{rg, "-cF", "seconds after warning threshold"}})
	}
	log := filepath.Join(dir, "audit.log")
	f, err := os.Create(log)
	if err != nil {
		return err
	}
	defer f.Close()
	events, written := auditLog(costSizes[len(costSizes)-1], pods, staleEvery), int64(0)
	fmt.Fprint(out, "| size |")
	for _, l := range lines {
		fmt.Fprintf(out, " %s | peak memory |", l.name)
	}
	fmt.Fprintln(out, "\n| --: |"+strings.Repeat(" --: | --: |", len(lines)))
	for _, size := range costSizes {
		n, err := io.CopyN(struct{ io.Writer }{f}, events, size-written)
		if written += n; err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		fmt.Fprintf(out, "| %s |", sizeText(size))
		fmt.Fprintln(os.Stderr, sizeText(size))
		var rows []row
		for _, l := range lines {
			rows = append(rows, row{name: l.name, argv: append(l.argv[:len(l.argv):len(l.argv)], log), runs: 5, bytes: size})
		}
		results := map[string]result{}
		if err := in.measure(rows, results); err != nil {
			return err
		}
		for _, l := range lines {
			res := results[l.name]
			l.at = append(l.at, res)
			fmt.Fprintf(out, " %.0f ms | %.0f MiB |", res.median.Seconds()*1000, float64(res.peak)/(1<<20))
		}
		fmt.Fprintln(out)
	}
	return os.WriteFile(file, draw(lines), 0o644)
}

// draw makes a graph with logarithmic axes, 10 MB to 10 GB and 1 ms to 100 s.
func draw(lines []*series) []byte {
	const left, top, width, height = 70.0, 20.0, 480.0, 300.0
	x := func(size float64) float64 { return left + width*(math.Log10(size)-7)/3 }
	y := func(ms float64) float64 { return top + height*(1-math.Log10(ms)/5) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 %g" font-family="sans-serif" font-size="13" role="img" aria-label="Time of a scan by the size of the log">`+"\n", top+height+50)
	fmt.Fprintf(&b, `<rect width="720" height="%g" fill="#fff"/>`+"\n", top+height+50)
	for ms := 1.0; ms <= 1e5; ms *= 10 {
		label := fmt.Sprintf("%g ms", ms)
		if ms >= 1000 {
			label = fmt.Sprintf("%g s", ms/1000)
		}
		fmt.Fprintf(&b, `<path d="M%g %gh%g" stroke="#ddd"/><text x="%g" y="%g" text-anchor="end">%s</text>`+"\n", left, y(ms), width, left-8, y(ms)+4, label)
	}
	for _, size := range []int64{1e7, 1e8, 1e9, 1e10} {
		fmt.Fprintf(&b, `<path d="M%g %gv%g" stroke="#ddd"/><text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", x(float64(size)), top, height, x(float64(size)), top+height+20, sizeText(size))
	}
	for i, l := range lines {
		var path strings.Builder
		for k, res := range l.at {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(k, 1)], x(float64(res.bytes)), y(res.median.Seconds()*1000))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/><text x="%g" y="%g" fill="%s">%s</text>`+"\n",
			path.String(), l.colour, left+width+10, top+20+20*float64(i), l.colour, l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

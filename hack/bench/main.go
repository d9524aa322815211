// Bench times whole processes of kubecred and prints a Markdown table: the
// median of several runs, the peak memory, and the ratio to a baseline that is
// measured in the same run. It needs only Go; baselines that are not installed
// (grep, rg, jq, duckdb) are left out and named below the table. The credential plugins are
// measured beside their peers by conformance/cmd/bench. With -graph it times scans
// of logs from 10 MB to 10 GB instead, and draws them.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	size := flag.Int64("size", 3000, "size of the plain audit log, in `MB`")
	runs := flag.Int("runs", 9, "runs of each short command; long ones run 3 times")
	graph := flag.String("graph", "", "draw the cost of scans from 10 MB to 10 GB into this `file`")
	flag.Parse()
	do := func() error { return run(*size*1e6, *runs, os.Stdout) }
	if *graph != "" {
		do = func() error { return drawCosts(*graph, os.Stdout) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is one command to measure. A row without a baseline is one.
type row struct {
	name     string
	argv     []string
	baseline string // name of another row
	runs     int
	bytes    int64 // read by one run, for GB/s
	stdin    func() io.Reader
	ok       []int // exit statuses that are no failure, besides 0
	// turn names rows that stand together, have as many runs, and are run in turn, so
	// that what else the machine does meets all of them alike.
	turn string
}

type result struct {
	median time.Duration
	peak   int64 // bytes
	bytes  int64 // read by one run, 0 if it is not about that
}

// ratioText compares two times, or, where both read something, the times that a
// byte takes.
func ratioText(a, base result) string {
	x := a.median.Seconds() / base.median.Seconds()
	if a.bytes > 0 && base.bytes > 0 {
		x *= float64(base.bytes) / float64(a.bytes)
	}
	if x < 0.1 {
		return fmt.Sprintf("1/%.0f", 1/x)
	}
	return fmt.Sprintf("%.2f x", x)
}

func run(size int64, runs int, out io.Writer) error {
	dir, err := os.MkdirTemp("", "kubecred-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(os.Stderr, "building and making inputs ...")
	in, err := prepare(dir, size)
	if err != nil {
		return err
	}
	rows, missing := in.rows(runs)
	results := map[string]result{}
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s, %s of log\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), sizeText(size))
	fmt.Fprintln(out, "| what | median | GB/s | peak memory | compared with | takes |")
	fmt.Fprintln(out, "| --- | --: | --: | --: | --- | --: |")
	for i, r := range rows {
		if i == 0 || r.turn == "" || r.turn != rows[i-1].turn {
			if err := in.measure(inTurn(rows[i:]), results); err != nil {
				return err
			}
		}
		res := results[r.name]
		speed, ratio := "", ""
		if r.bytes > 0 {
			speed = fmt.Sprintf("%.2f", float64(r.bytes)/1e9/res.median.Seconds())
		}
		if base, ok := results[r.baseline]; ok {
			ratio = ratioText(res, base)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.1f MiB | %s | %s |\n", r.name, res.median.Round(100*time.Microsecond), speed, float64(res.peak)/(1<<20), r.baseline, ratio)
	}
	for _, m := range missing {
		fmt.Fprintf(out, "\nNot measured: %s is not installed.\n", m)
	}
	return nil
}

// inTurn returns the first row, with those after it that are run in turn with it.
func inTurn(rows []row) []row {
	n := 1
	for n < len(rows) && rows[0].turn != "" && rows[n].turn == rows[0].turn {
		n++
	}
	return rows[:n]
}

// measure runs the commands through the launcher, which knows the time and the
// memory of each, and notes the median of the times and the highest peak.
func (in inputs) measure(rows []row, results map[string]result) error {
	times, peaks := make([][]time.Duration, len(rows)), make([]int64, len(rows))
	for n := range rows[0].runs + 1 { // the first one warms caches and counts only where it is the only one
		for i, r := range rows {
			if n == 0 {
				fmt.Fprintln(os.Stderr, r.name)
			}
			took, rss, err := in.once(r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			times[i] = append(times[i], took)
			peaks[i] = max(peaks[i], rss)
		}
	}
	for i, r := range rows {
		t := times[i][min(1, len(times[i])-1):]
		slices.Sort(t)
		results[r.name] = result{t[len(t)/2], peaks[i], r.bytes}
	}
	return nil
}

func (in inputs) once(r row) (time.Duration, int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, in.launch, append([]string{in.result}, r.argv...)...)
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "KUBECONFIG=")
	var stderr bytes.Buffer
	cmd.Stdout = writeOnly{io.Discard} // grep does not read on where stdout is /dev/null
	cmd.Stderr = &stderr
	if r.stdin != nil {
		cmd.Stdin = r.stdin()
	}
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	data, err := os.ReadFile(in.result)
	if err != nil {
		return 0, 0, err
	}
	var took, rss int64
	var status int
	if _, err := fmt.Sscan(string(data), &took, &rss, &status); err != nil {
		return 0, 0, err
	}
	if status != 0 && !slices.Contains(r.ok, status) {
		return 0, 0, fmt.Errorf("exit status %d: %s", status, strings.TrimSpace(stderr.String()))
	}
	return time.Duration(took), rss, nil
}

// writeOnly hides the other methods of a writer, so that os/exec makes a pipe.
type writeOnly struct{ io.Writer }

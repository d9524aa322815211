// Bench times whole processes of kubecred and prints a Markdown table: the
// median of several runs, the peak memory, and the ratio to a baseline that is
// measured in the same run. It needs only Go; baselines that are not installed
// (grep, rg) are left out and named below the table. The credential plugins are
// measured beside their peers by conformance/cmd/bench.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	size := flag.Int64("mb", 1024, "size of the plain audit log, in MB")
	runs := flag.Int("runs", 9, "runs of each short command; long ones run 3 times")
	flag.Parse()
	if err := run(*size<<20, *runs, os.Stdout); err != nil {
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
}

type result struct {
	median time.Duration
	peak   int64 // bytes
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
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s, %d MB of log\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), size>>20)
	fmt.Fprintln(out, "| what | median | GB/s | peak memory | compared with | takes |")
	fmt.Fprintln(out, "| --- | --: | --: | --: | --- | --: |")
	for _, r := range rows {
		fmt.Fprintln(os.Stderr, r.name)
		res, err := in.measure(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		results[r.name] = res
		speed, ratio := "", ""
		if r.bytes > 0 {
			speed = fmt.Sprintf("%.2f", float64(r.bytes)/1e9/res.median.Seconds())
		}
		if base, ok := results[r.baseline]; ok {
			ratio = fmt.Sprintf("%.2f x", res.median.Seconds()/base.median.Seconds())
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.1f MiB | %s | %s |\n", r.name, res.median.Round(100*time.Microsecond), speed, float64(res.peak)/(1<<20), r.baseline, ratio)
	}
	for _, m := range missing {
		fmt.Fprintf(out, "\nNot measured: %s is not installed.\n", m)
	}
	return nil
}

// measure runs the command through the launcher, which knows its time and its
// memory, and returns the median of the times and the highest peak.
func (in inputs) measure(r row) (result, error) {
	var times []time.Duration
	var peak int64
	for range r.runs + 1 { // the first one warms caches and does not count
		took, rss, err := in.once(r)
		if err != nil {
			return result{}, err
		}
		times = append(times, took)
		peak = max(peak, rss)
	}
	times = times[1:]
	slices.Sort(times)
	return result{times[len(times)/2], peak}, nil
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

// inputs are the programs and files that the rows use.
type inputs struct {
	kubecred, oneWord                string
	launch, result                   string
	kubeconfig, log, images, imgconf string
	logSize                          int64
}

func prepare(dir string, size int64) (inputs, error) {
	in := inputs{
		kubecred: filepath.Join(dir, "kubecred"), oneWord: filepath.Join(dir, "oneword"),
		launch: filepath.Join(dir, "launch"), result: filepath.Join(dir, "result"),
		kubeconfig: filepath.Join(dir, "config"), log: filepath.Join(dir, "audit.log"),
		images: filepath.Join(dir, "images"), imgconf: filepath.Join(dir, "provider.yaml"),
	}
	source := filepath.Join(dir, "oneword.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"token\\n\") }\n"), 0o600); err != nil {
		return in, err
	}
	for target, pkg := range map[string]string{in.kubecred: "./cmd/kubecred", in.oneWord: source, in.launch: "./hack/bench/launch"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", target, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return in, fmt.Errorf("go build %s: %w: %s", pkg, err, out)
		}
	}
	var err error
	if err = os.WriteFile(in.kubeconfig, contexts(10_000), 0o600); err != nil {
		return in, err
	}
	if err = os.WriteFile(in.imgconf, providers(100), 0o600); err != nil {
		return in, err
	}
	if err = os.WriteFile(in.images, images(10_000), 0o600); err != nil {
		return in, err
	}
	f, err := os.Create(in.log)
	if err != nil {
		return in, err
	}
	in.logSize, err = io.Copy(f, auditLog(size))
	return in, errors.Join(err, f.Close())
}

func (in inputs) rows(runs int) (rows []row, missing []string) {
	const mark = "seconds after warning threshold"
	scan := []string{in.kubecred, "tokens", "scan", "--profile", "eks", "--now", "2026-11-22T04:13:00Z", "--fail-on", "never", "-o", "json"}
	rows = []row{
		{name: "one-word Go program", argv: []string{in.oneWord}, runs: runs},
		{name: "kubecred version", argv: []string{in.kubecred, "version"}, baseline: "one-word Go program", runs: runs},
		{name: "kubecred kubeconfig check, 10,000 contexts", argv: []string{in.kubecred, "kubeconfig", "check", "--kubeconfig", in.kubeconfig, "-o", "json"}, runs: 3, ok: []int{1}},
		{name: "kubecred image explain, 10,000 images, 100 providers", argv: []string{in.kubecred, "image", "explain", "-", "--config", in.imgconf, "-o", "json"}, runs: 3, ok: []int{1},
			stdin: func() io.Reader { data, _ := os.ReadFile(in.images); return bytes.NewReader(data) }},
	}
	for _, tool := range []struct {
		name string
		argv []string
		size int64
	}{
		{"grep -cF", []string{"grep", "-cF", mark, in.log}, in.logSize},
		{"rg -cF", []string{"rg", "-cF", mark, in.log}, in.logSize},
	} {
		if _, err := exec.LookPath(tool.argv[0]); err != nil {
			missing = append(missing, tool.argv[0])
			continue
		}
		rows = append(rows, row{name: tool.name, argv: tool.argv, runs: 3, bytes: tool.size, ok: []int{1}})
	}
	baseline := rows[len(rows)-1].name
	rows = append(rows,
		row{name: "kubecred tokens scan --marks", argv: append(slices.Clone(scan), "--marks", in.log), baseline: baseline, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan", argv: append(slices.Clone(scan), in.log), baseline: baseline, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan, ten times that on stdin", argv: append(slices.Clone(scan), "-"), runs: 1, bytes: 10 * in.logSize,
			stdin: func() io.Reader { return auditLog(10 * in.logSize) }},
	)
	return rows, missing
}

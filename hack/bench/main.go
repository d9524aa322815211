// Bench times whole processes of kubecred and prints a Markdown table: the
// median of several runs, the peak memory, and the ratio to a baseline that is
// measured in the same run. It needs only Go; baselines that are not installed
// (grep, rg, jq) are left out and named below the table.
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
	env      []string // beside the environment
	ok       []int    // exit statuses that are no failure, besides 0
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
	cmd.Env = append(cmd.Env, r.env...)
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
	kubecred, broker, issuer         string
	oneWord, launch, result, cache   string
	kubeconfig, log, images, imgconf string
	logSize                          int64
}

func prepare(dir string, size int64) (inputs, error) {
	in := inputs{
		kubecred: filepath.Join(dir, "kubecred"), broker: filepath.Join(dir, "kubecred-exec"),
		issuer: filepath.Join(dir, "kubecred-aws"), cache: filepath.Join(dir, "cache"), oneWord: filepath.Join(dir, "oneword"),
		launch: filepath.Join(dir, "launch"), result: filepath.Join(dir, "result"),
		kubeconfig: filepath.Join(dir, "config"), log: filepath.Join(dir, "audit.log"),
		images: filepath.Join(dir, "images"), imgconf: filepath.Join(dir, "provider.yaml"),
	}
	source := filepath.Join(dir, "oneword.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"token\\n\") }\n"), 0o600); err != nil {
		return in, err
	}
	for target, pkg := range map[string]string{in.kubecred: "./cmd/kubecred", in.broker: "./cmd/kubecred-exec", in.issuer: "./cmd/kubecred-aws", in.oneWord: source, in.launch: "./hack/bench/launch"} {
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

// token is a row that prints an EKS token with credentials of the environment,
// in a cache of its own.
func (in inputs) token(name, baseline string, runs int, argv ...string) row {
	return row{name: name, baseline: baseline, runs: 3 * runs, argv: argv, env: []string{
		"KUBECRED_CACHE_DIR=" + in.cache, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", // AWS's own documentation examples
		`KUBERNETES_EXEC_INFO={"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}`,
	}}
}

func (in inputs) rows(runs int) (rows []row, missing []string) {
	const mark = "seconds after warning threshold"
	scan := []string{in.kubecred, "tokens", "scan", "--profile", "eks", "--now", "2026-11-22T04:13:00Z", "--fail-on", "never", "-o", "json"}
	rows = []row{
		{name: "one-word Go program", argv: []string{in.oneWord}, runs: runs},
		{name: "kubecred version", argv: []string{in.kubecred, "version"}, baseline: "one-word Go program", runs: runs},
		in.token("kubecred-exec client, warm", "one-word Go program", runs, in.broker, "client", "--", in.issuer, "token", "--cluster-name", "demo"),
		in.token("kubecred-aws token", "one-word Go program", runs, in.issuer, "token", "--cluster-name", "demo"),
		in.token("kubecred-exec client, cold", "one-word Go program", runs, in.broker, "client", "--no-cache", "--", in.issuer, "token", "--cluster-name", "demo"),
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
	for _, peer := range []struct {
		name string
		argv []string
	}{
		{"aws-iam-authenticator token", []string{"aws-iam-authenticator", "token", "-i", "demo"}},
		{"aws eks get-token", []string{"aws", "eks", "get-token", "--region", "eu-west-1", "--cluster-name", "demo"}},
	} {
		path, err := exec.LookPath(peer.argv[0])
		if err != nil {
			missing = append(missing, peer.argv[0])
			continue
		}
		peer.argv[0] = path
		rows = append(rows, in.token(peer.name, "kubecred-exec client, warm", runs, peer.argv...))
	}
	rows = append(rows,
		row{name: "kubecred tokens scan --marks", argv: append(slices.Clone(scan), "--marks", in.log), baseline: baseline, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan", argv: append(slices.Clone(scan), in.log), baseline: baseline, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan, ten times that on stdin", argv: append(slices.Clone(scan), "-"), runs: 1, bytes: 10 * in.logSize,
			stdin: func() io.Reader { return auditLog(10 * in.logSize) }},
	)
	return rows, missing
}

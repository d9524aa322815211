package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// inputs are the programs and files that the rows use.
type inputs struct {
	kubecred, oneWord           string
	launch, result              string
	kubeconfig, images, imgconf string
	log, small, many, packed    string // audit logs
	logSize                     int64
}

const (
	smallSize  = 100_000_000 // for programs that take their time
	manySize   = 1_000_000_000
	hugeSize   = 10_000_000_000
	packedSize = 64_000_000 // of text in each of packedFiles
	// packedFiles is how many gzip files are read at once.
	packedFiles = 16
	pods        = 1000
	manyPods    = 10_000
	staleEvery  = 200
)

// build builds the programs to measure.
func build(dir string) (inputs, error) {
	in := inputs{
		kubecred: filepath.Join(dir, "kubecred"), oneWord: filepath.Join(dir, "oneword"),
		launch: filepath.Join(dir, "launch"), result: filepath.Join(dir, "result"),
		kubeconfig: filepath.Join(dir, "config"), log: filepath.Join(dir, "audit.log"),
		images: filepath.Join(dir, "images"), imgconf: filepath.Join(dir, "provider.yaml"),
		small: filepath.Join(dir, "small.log"), many: filepath.Join(dir, "many.log"), packed: filepath.Join(dir, "packed"),
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
	return in, nil
}

// prepare builds the programs and makes the files that the rows use.
func prepare(dir string, size int64) (inputs, error) {
	in, err := build(dir)
	if err != nil {
		return in, err
	}
	if err = os.WriteFile(in.kubeconfig, contexts(10_000), 0o600); err != nil {
		return in, err
	}
	if err = os.WriteFile(in.imgconf, providers(100), 0o600); err != nil {
		return in, err
	}
	if err = os.WriteFile(in.images, images(10_000), 0o600); err != nil {
		return in, err
	}
	for _, log := range []struct {
		name string
		size int64
		pods int
	}{{in.log, size, pods}, {in.small, smallSize, pods}, {in.many, manySize, manyPods}} {
		if err = writeFile(log.name, auditLog(log.size, log.pods, staleEvery), false); err != nil {
			return in, err
		}
	}
	if err = os.Mkdir(in.packed, 0o700); err != nil {
		return in, err
	}
	all := auditLog(packedFiles*packedSize, pods, staleEvery)
	for i := range packedFiles {
		if err = writeFile(filepath.Join(in.packed, fmt.Sprintf("audit-%02d.log.gz", i)), io.LimitReader(all, packedSize), true); err != nil {
			return in, err
		}
	}
	info, err := os.Stat(in.log)
	if err != nil {
		return in, err
	}
	in.logSize = info.Size()
	return in, nil
}

// writeFile copies into a new file, packed with gzip on demand.
func writeFile(name string, r io.Reader, packed bool) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if packed {
		z := gzip.NewWriter(f)
		_, err = io.Copy(z, r)
		err = errors.Join(err, z.Close())
	} else {
		_, err = io.CopyBuffer(writeOnly{f}, r, make([]byte, 1<<20))
	}
	return errors.Join(err, f.Close())
}

func (in inputs) rows(runs int) (rows []row, missing []string) {
	const mark = "seconds after warning threshold"
	scan := []string{in.kubecred, "tokens", "scan", "--profile", "eks", "--now", logEnd, "--fail-on", "never", "-o", "json"}
	rows = []row{
		{name: "one-word Go program", argv: []string{in.oneWord}, runs: runs},
		{name: "kubecred version", argv: []string{in.kubecred, "version"}, baseline: "one-word Go program", runs: runs},
		{name: "kubecred kubeconfig check, 10,000 contexts", argv: []string{in.kubecred, "kubeconfig", "check", "--kubeconfig", in.kubeconfig, "-o", "json"}, runs: 3, ok: []int{1}},
		{name: "kubecred image explain, 10,000 images, 100 providers", argv: []string{in.kubecred, "image", "explain", "-", "--config", in.imgconf, "-o", "json"}, runs: 3, ok: []int{1},
			stdin: func() io.Reader { data, _ := os.ReadFile(in.images); return bytes.NewReader(data) }},
	}
	const (
		zcat = "zcat \\| rg -c"
		// What people write for the question who was marked.
		jqLine = `select(.annotations["authentication.k8s.io/stale-token"]) | [.user.username, .annotations["authentication.k8s.io/stale-token"]] | @tsv`
		// DuckDB answers two questions: who was marked, as --marks does, and what the
		// verdicts rest on.
		duckMarks, duckUses = "duckdb, who was marked", "duckdb, what the verdicts rest on"
	)
	for _, tool := range []struct {
		name, needs string
		argv        []string
		size        int64
	}{
		{zcat, "rg", []string{"sh", "-c", `zcat "$0"/*.gz | rg -cF "$1"`, in.packed, mark}, packedFiles * packedSize},
		{"jq", "jq", []string{"jq", "-r", jqLine, in.small}, smallSize},
		{duckMarks, "duckdb", []string{"duckdb", "-c", fmt.Sprintf(marksQuery, in.log)}, in.logSize},
		{duckUses, "duckdb", []string{"duckdb", "-c", fmt.Sprintf(usesQuery, in.log)}, in.logSize},
		{"grep -cF", "grep", []string{"grep", "-cF", mark, in.log}, in.logSize},
		{"rg -cF", "rg", []string{"rg", "-cF", mark, in.log}, in.logSize},
	} {
		if _, err := exec.LookPath(tool.needs); err != nil {
			missing = append(missing, tool.name)
			continue
		}
		rows = append(rows, row{name: tool.name, argv: tool.argv, runs: 3, bytes: tool.size, ok: []int{1}})
	}
	const beside = "the search for one literal"
	baseline := ""
	if last := &rows[len(rows)-1]; last.argv[0] == "rg" || last.argv[0] == "grep" {
		baseline, last.turn, last.runs = last.name, beside, 9
	}
	rows = append(rows,
		row{name: "kubecred tokens scan --marks", argv: append(slices.Clone(scan), "--marks", in.log), baseline: baseline, runs: 9, bytes: in.logSize, turn: beside},
		row{name: "kubecred tokens scan", argv: append(slices.Clone(scan), in.log), baseline: baseline, runs: 9, bytes: in.logSize, turn: beside},
		row{name: "kubecred tokens scan, beside jq", argv: append(slices.Clone(scan), in.log), baseline: "jq", runs: 1, bytes: in.logSize},
		row{name: "kubecred tokens scan --marks, beside duckdb", argv: append(slices.Clone(scan), "--marks", in.log), baseline: duckMarks, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan, beside duckdb", argv: append(slices.Clone(scan), in.log), baseline: duckUses, runs: 3, bytes: in.logSize},
		row{name: "kubecred tokens scan --strict", argv: append(slices.Clone(scan), "--strict", in.log), baseline: baseline, runs: 1, bytes: in.logSize},
		row{name: "kubecred tokens scan, 16 gzip files", argv: append(slices.Clone(scan), in.packed), baseline: zcat, runs: 3, bytes: packedFiles * packedSize},
		row{name: "kubecred tokens scan, 10,000 live tokens", argv: append(slices.Clone(scan), in.many), runs: 3, bytes: manySize},
		row{name: "kubecred tokens scan, 10,000 live tokens, 10 GB on stdin", argv: append(slices.Clone(scan), "-"), bytes: hugeSize,
			stdin: func() io.Reader { return auditLog(hugeSize, manyPods, staleEvery) }},
	)
	rows = slices.DeleteFunc(rows, func(r row) bool { return r.baseline != "" && slices.Contains(missing, r.baseline) })
	return rows, missing
}

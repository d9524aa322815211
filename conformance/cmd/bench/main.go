//go:build linux

// Bench times whole processes of kubecred's credential plugins beside the
// programs they stand in for, in one run, and prints a Markdown table. The peers
// are built from the modules that pin them; the AWS CLI is measured where it is
// installed. AWS is a stand-in on the loopback address.
//
//	go -C conformance run ./cmd/bench [-runs 100] [-only client]
//
// To measure something else beside what it stands in for, add a row to one of
// the lists of [tables].
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func main() {
	runs := flag.Int("runs", 100, "runs of each quick command; those of a slow one are an eighth")
	only := flag.String("only", "", "one table alone: "+strings.Join(tableNames(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *runs, *only, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// programs are the paths of what is measured, by name. A program that is not
// installed has none.
type programs map[string]string

// place is where the commands run, and with what.
type place struct {
	dir      string
	env      []string
	programs programs
}

// execInfo is what kubectl says to a plugin.
const execInfo = `KUBERNETES_EXEC_INFO={"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}`

func run(ctx context.Context, runs int, only string, out io.Writer) error {
	if only != "" && !slices.Contains(tableNames(), only) {
		return fmt.Errorf("-only %q: there are %s", only, strings.Join(tableNames(), ", "))
	}
	dir, err := os.MkdirTemp("", "kubecred-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(os.Stderr, "building ...")
	p := place{dir: dir}
	if p.programs, err = build(ctx, dir); err != nil {
		return err
	}
	fake, err := awsfake.Start(awsfake.Default())
	if err != nil {
		return err
	}
	defer fake.Close()
	p.env = append(fake.Env(),
		"HOME="+dir, "PATH="+os.Getenv("PATH"), "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret,
		execInfo,
	)
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	for _, t := range tables {
		if only != "" && t.name != only {
			continue
		}
		if err := p.table(ctx, t, fake, runs, out); err != nil {
			return err
		}
	}
	return nil
}

// table measures the rows of a table and prints it.
func (p place) table(ctx context.Context, t table, fake *awsfake.Server, runs int, out io.Writer) (err error) {
	fmt.Fprintln(os.Stderr, "measuring:", t.title)
	p.programs = maps.Clone(p.programs)
	if t.env != nil {
		if p.env, err = t.env(p, fake); err != nil {
			return err
		}
	}
	if t.prepare != nil {
		more, end, err := t.prepare(ctx, p)
		if err != nil {
			return err
		}
		defer end()
		maps.Copy(p.programs, more)
	}
	fmt.Fprintf(out, "\n%s\n\n", t.title)
	if t.rows != nil {
		rows := slices.DeleteFunc(t.rows(p.programs), func(r *row) bool { return r.argv[0] == "" })
		if err := p.measure(ctx, rows, max(runs/max(t.share, 1), 1)); err != nil {
			return err
		}
		show(out, rows)
	}
	if t.after != nil {
		return t.after(ctx, p, out)
	}
	return nil
}

// oneWord is the least that a Go program can do.
const oneWord = "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"word\\n\") }\n"

// build makes all programs.
func build(ctx context.Context, dir string) (programs, error) {
	built := programs{}
	for _, name := range []string{"aws-iam-authenticator", "ecr-credential-provider"} {
		path, err := lab.Program(ctx, name, os.Stderr)
		if err != nil {
			return nil, err
		}
		built[name] = path
	}
	source := filepath.Join(dir, "word.go")
	if err := os.WriteFile(source, []byte(oneWord), 0o600); err != nil {
		return nil, err
	}
	for name, pkg := range map[string]string{
		"kubecred-exec": "./cmd/kubecred-exec", "kubecred-aws": "./cmd/kubecred-aws", "launch": "./hack/bench/launch", "word": source,
	} {
		built[name] = filepath.Join(dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", built[name], pkg)
		cmd.Dir = ".." // the go command runs this below conformance/
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	if err := install(built, filepath.Join(dir, "installed")); err != nil {
		return nil, err
	}
	built["aws"], _ = exec.LookPath("aws")
	return built, nil
}

// install copies the programs, as whoever installs them does. How a file came to
// be decides in what pieces the kernel keeps it in memory, and so what its first
// pages cost a process that starts: one that a linker wrote is kept in smaller
// ones than one that was written from its beginning to its end.
func install(built programs, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, path := range built {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		built[name] = filepath.Join(dir, name)
		if err := os.WriteFile(built[name], data, 0o700); err != nil {
			return err
		}
	}
	return nil
}

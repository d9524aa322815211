package cli_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/cli"
)

// run runs a command line in a world of its own.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Run(t.Context(), args, cli.World{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(string) string { return "" }, Home: t.TempDir(),
		Now: func() time.Time { return time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC) },
	})
	return status, out.String(), errs.String()
}

func TestUsageNamesTheProgramAsTyped(t *testing.T) {
	tests := []struct{ program, want string }{
		{"kubecred", "kubecred doctor [flags]"},
		{"/usr/local/bin/kubectl-cred", "kubectl cred doctor [flags]"},
		{"kubectl-cred.exe", "kubectl cred doctor [flags]"},
		{"/opt/renamed", "kubecred doctor [flags]"},
	}
	for _, tt := range tests {
		status, out, errs := run(t, tt.program, "doctor", "--help")
		if status != 0 || errs != "" || !strings.Contains(out, "\n  "+tt.want+"\n") {
			t.Errorf("%s doctor --help: status %d, stderr %q, stdout lacks %q:\n%s", tt.program, status, errs, tt.want, out)
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"kubecred", "docter"}, `kubecred: unknown command "docter" for "kubecred": is it doctor?`},
		{[]string{"kubecred", "frobnicate"}, `kubecred: unknown command "frobnicate" for "kubecred" (see kubecred --help)`},
		{[]string{"kubecred", "k8s-aws-v1." + strings.Repeat("c2VjcmV0", 20)}, `kubecred: unknown command "k8s-aws-v1.c2Vjc..." for "kubecred" (see kubecred --help)`},
		{[]string{"kubectl-cred", "kubeconfig", "chekc"}, `kubectl cred: unknown command "chekc" for "kubectl cred kubeconfig": is it check?`},
		{[]string{"kubecred", "kubeconfig", "check", "admin.conf"}, `kubecred: kubecred kubeconfig check takes no arguments, and "admin.conf" was given: name a kubeconfig with --kubeconfig`},
		{[]string{"kubecred", "tokens", "scan"}, `kubecred: give a SOURCE: an audit log, a directory of them, - for stdin, cloudwatch://... or loki+https://... (0 given; see kubecred tokens scan --help)`},
		{[]string{"kubecred", "image", "try", "a", "b"}, `kubecred: give one IMAGE, such as registry.example.com/team/app:1 (2 given; see kubecred image try --help)`},
		{[]string{"kubecred", "explain", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"}, `kubecred: an argument begins with a dash and is no flag of kubecred explain: put -- before it, or pipe it in`},
		{[]string{"kubecred", "explain", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY what is it"}, `kubecred: no known code or error message in "(secret) what is it": give a code such as KC101, or the error's text word for word`},
		{[]string{"kubecred", "version", "x"}, `kubecred: kubecred version takes no arguments, and "x" was given`},
		{[]string{"kubecred", "doctor", "--colour"}, `kubecred: unknown flag: --colour (see kubecred doctor --help)`},
		{[]string{"kubectl-cred", "doctor", "--colour"}, `kubectl cred: unknown flag: --colour (see kubectl cred doctor --help)`},
		{[]string{"kubecred", "doctor", "--fail-on", "info"}, `kubecred: --fail-on "info": use error, warning or never`},
		{[]string{"kubecred", "doctor", "--from", "/nonexistent/report.json"}, `kubecred: /nonexistent/report.json: no such file or directory`},
	}
	for _, tt := range tests {
		status, out, errs := run(t, tt.args...)
		if status != 2 || out != "" || errs != tt.want+"\n" {
			t.Errorf("%q: status %d, stdout %q, stderr %q, want 2 and %q", tt.args, status, out, errs, tt.want)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestReportThatCannotBeWritten(t *testing.T) {
	var errs bytes.Buffer
	status := cli.Run(context.Background(), []string{"kubecred", "doctor", "--from", "-"}, cli.World{
		Stdin:  strings.NewReader(`{"apiVersion":"kubecred/v1","kind":"Report","findings":[]}`),
		Stdout: brokenWriter{}, Stderr: &errs,
		Getenv: func(string) string { return "" }, Now: time.Now,
	})
	if want := "kubecred: writing the report: no space left on device\n"; status != 2 || errs.String() != want {
		t.Errorf("status %d, stderr %q, want 2 and %q", status, errs.String(), want)
	}
	errs.Reset()
	status = cli.Run(context.Background(), []string{"kubecred", "version"}, cli.World{
		Stdin: strings.NewReader(""), Stdout: brokenWriter{}, Stderr: &errs,
		Getenv: func(string) string { return "" }, Now: time.Now,
	})
	if want := "kubecred: writing the output: no space left on device\n"; status != 2 || errs.String() != want {
		t.Errorf("version: status %d, stderr %q, want 2 and %q", status, errs.String(), want)
	}
}

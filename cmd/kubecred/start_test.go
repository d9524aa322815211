//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Every command pays for what packages make when the program starts. It is
// counted in bytes, which do not depend on how busy the machine is: all of it
// stays, and is written page by page. Ours make it where it is used first.
func TestStart(t *testing.T) {
	const (
		all = 4 << 20 // of which nearly half is the AWS SDK's
		own = 100 << 10
	)
	program := filepath.Join(t.TempDir(), "kubecred")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	packages, sum := 0, 0
	for line := range strings.Lines(errs.String()) {
		name, bytes := initialized(t, line)
		packages++
		sum += bytes
		switch {
		case name == "k8s.io/client-go/kubernetes/scheme":
			t.Errorf("%s is linked: it makes the types of all API groups known (internal/cluster/kube.go names those that are needed)", name)
		case strings.HasPrefix(name, "github.com/kubecred/kubecred/") && bytes > own:
			t.Errorf("%s makes %d bytes when the program starts, and %d are allowed: make them where they are used first", name, bytes, own)
		}
	}
	if packages == 0 || sum > all {
		t.Errorf("%d packages make %d bytes when the program starts, and %d are allowed (GODEBUG=inittrace=1 shows which)", packages, sum, all)
	}
}

// initialized reads a line of the trace:
//
//	init internal/bytealg @0.008 ms, 0 ms clock, 0 bytes, 0 allocs
func initialized(t *testing.T, line string) (name string, bytes int) {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) != 11 || fields[0] != "init" {
		t.Fatalf("no line of a trace: %q", line)
	}
	bytes, err := strconv.Atoi(fields[7])
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return fields[1], bytes
}

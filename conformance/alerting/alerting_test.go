//go:build unix

// Package alerting evaluates the alerts of docs/prometheus-rules.yaml with
// Prometheus' own engine, on what kubecred prints.
package alerting

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

const (
	rules = "../../docs/prometheus-rules.yaml"
	log   = "../../examples/audit-kube-apiserver-1.35.4.log.gz"
	now   = "2026-11-22T04:13:00Z"
)

// command runs a program and returns its stdout; status is the one that it must
// end with.
func command(t *testing.T, status int, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

func TestAlerts(t *testing.T) {
	alerts, err := lab.Program(t.Context(), "alerts", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	kubecred := filepath.Join(t.TempDir(), "kubecred")
	command(t, 0, nil, "go", "build", "-C", "../..", "-o", kubecred, "./cmd/kubecred")
	half := filepath.Join(t.TempDir(), "half.log.gz")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	prom := func(sources ...string) []byte {
		return command(t, 1, nil, kubecred, append([]string{"tokens", "scan", "-o", "prom", "--now", now}, sources...)...)
	}
	whole, broken := prom(log), prom(log, half)
	const kube2iam, cron, kes = "kube-system/kube2iam, 2 pods", "apps/nightly-cron", "kube-system/kubernetes-external-secrets"
	day := 24 * time.Hour
	tests := []struct {
		title   string
		metrics []byte
		after   time.Duration
		want    []string
	}{
		{"at once", whole, 0, []string{"CredentialBreaksSoon " + kube2iam, "CredentialBreaksWithinTwoDays " + kube2iam, "CredentialIsDead " + cron}},
		{"a day later it is dead", whole, day, []string{"CredentialIsDead " + cron, "CredentialIsDead " + kube2iam}},
		{"after three days nobody has run it again", whole, 3 * day, []string{"CredentialIsDead " + cron, "CredentialIsDead " + kube2iam, "CredentialReportIsOld "}},
		{"the next one comes near", whole, 20 * day, []string{"CredentialBreaksSoon " + kes, "CredentialIsDead " + cron, "CredentialIsDead " + kube2iam, "CredentialReportIsOld "}},
		{"half a log", broken, 0, []string{"CredentialBreaksSoon " + kube2iam, "CredentialBreaksWithinTwoDays " + kube2iam, "CredentialIsDead " + cron, "CredentialReportIsIncomplete "}},
	}
	for _, tt := range tests {
		var fires []struct {
			Name                string
			Labels, Annotations map[string]string
		}
		if err := json.Unmarshal(command(t, 0, tt.metrics, alerts, "-rules", rules, "-at", now, "-after", tt.after.String()), &fires); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range fires {
			got = append(got, f.Name+" "+f.Labels["subject"])
			for _, text := range f.Annotations {
				if strings.Contains(text, "<no value>") || strings.Contains(text, "error") {
					t.Errorf("%s: %s says %q", tt.title, f.Name, text)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q fire, want %q", tt.title, got, tt.want)
		}
	}
}

package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const logOfIncident = "../../examples/audit-kube-apiserver-1.35.4.log.gz"

func TestTokensRestartPlans(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	args := []string{"tokens", "restart", "--kubeconfig", config, "--now", "2026-11-22T04:13:00Z", filepath.FromSlash(logOfIncident)}
	status, stdout, stderr := runWith(t, args...)
	if status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	golden(t, "restart.txt", stdout)
	status, stdout, _ = runWith(t, append(args, "-o", "json", "--within", "7d", "-n", "kube-system")...)
	var plan struct {
		Kind    string
		Applied bool
		Steps   []struct{ Namespace, Kind, Name, Action, DiesAt string }
	}
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	if plan.Kind != "RestartPlan" || plan.Applied || len(plan.Steps) != 1 || plan.Steps[0].Name != "kube2iam" || plan.Steps[0].Action != "restart" {
		t.Errorf("plan %+v", plan)
	}
}

// TestTokensRestartApplies carries the plan out, and then again: nothing is
// restarted twice.
func TestTokensRestartApplies(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	args := []string{"tokens", "restart", "--kubeconfig", config, "--apply", "--now", "2026-11-22T04:13:00Z", filepath.FromSlash(logOfIncident)}
	status, stdout, stderr := runWith(t, args...)
	if status != 0 || !strings.Contains(stderr, "1 of 2  kube-system/daemonset/kube2iam: restart asked for\n") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	if !strings.Contains(stdout, "\nkube-system/daemonset/kube2iam: restarted, ready after 0 s\n") {
		t.Errorf("stdout:\n%s", stdout)
	}
	status, stdout, stderr = runWith(t, args...)
	if status != 0 || stderr != "" || !strings.Contains(stdout, "restarted at 2026-11-22T04:13:00Z already, all pods are new") {
		t.Errorf("again: status %d, stderr %q, stdout:\n%s", status, stderr, stdout)
	}
}

func TestTokensRestartVerifies(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	log := filepath.FromSlash(logOfIncident)
	// No pod of the fixture is newer than the restart, so nothing can be seen.
	status, stdout, stderr := runWith(t, "tokens", "restart", "--kubeconfig", config, "--apply", "--verify", "--verify-timeout", "1s",
		"--audit-log", log, "--fail-on", "warning", "kube-system/ds/kube2iam")
	if status != 1 || !strings.Contains(stdout, "no pod of it is newer than its restart") || !strings.Contains(stderr, "for the new tokens of 1 workload, 1s at most") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

// TestTokensRestartVerifySaysWhatItCouldNotRead: what keeps --verify from seeing
// is told as it happens and in the end, and is an exit status of 1.
func TestTokensRestartVerifySaysWhatItCouldNotRead(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	cut := filepath.Join(t.TempDir(), "cut.log.gz")
	whole, err := os.ReadFile(filepath.FromSlash(logOfIncident))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for log, want := range map[string]string{
		filepath.Join(t.TempDir(), "gone.log"): "KC306  .*gone.log: no such file\n",
		cut:                                    "KC306  .*cut.log.gz: could not be read to its end: .*, after [0-9,]+ events up to .*\n",
	} {
		status, stdout, stderr := runWith(t, "tokens", "restart", "--kubeconfig", config, "--apply", "--verify", "--verify-timeout", "500ms", "--audit-log", log, "kube-system/ds/kube2iam", "--ignore-budgets", "--resume", "2030-01-01T00:00:00Z")
		if ok, err := regexp.MatchString(want, stdout); status != 1 || !ok || err != nil {
			t.Errorf("%s: status %d, %v, want %s in stdout:\n%s", log, status, err, want, stdout)
		}
		if !strings.Contains(stderr, "; trying on\n") || !strings.Contains(stdout, "kube-system/daemonset/kube2iam: restarted") {
			t.Errorf("%s: stdout:\n%s\nstderr:\n%s", log, stdout, stderr)
		}
	}
}

// TestTokensRestartPlanOfHalfALog says that it is one.
func TestTokensRestartPlanOfHalfALog(t *testing.T) {
	f := insights(t)
	f.End = func(_ string, from, _ time.Time) string {
		if from.Hour() == 3 {
			return "Failed"
		}
		return ""
	}
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	args := []string{"tokens", "restart", "--kubeconfig", config, "--now", "2026-11-22T04:13:00Z", "cloudwatch://eu-west-1/prod"}
	want := "cloudwatch://eu-west-1/prod, 2026-11-22 03:13 to 04:00 UTC"
	status, stdout, _ := runWith(t, args...)
	if status != 1 || !strings.Contains(stdout, "\nKC306  "+want+": could not be read: the query ended as failed\n") {
		t.Errorf("status %d:\n%s", status, stdout)
	}
	status, stdout, _ = runWith(t, append(args, "-o", "json")...)
	var plan struct {
		Problems []struct{ Code, Subject, Message string }
	}
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || status != 1 || len(plan.Problems) != 1 || plan.Problems[0].Subject != want {
		t.Errorf("status %d, %v, %+v", status, err, plan)
	}
}

func TestTokensRestartFailures(t *testing.T) {
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	log := filepath.FromSlash(logOfIncident)
	tests := []struct {
		args []string
		want string
	}{
		{nil, "nothing to restart is named: give an audit log as for tokens scan, or NAMESPACE/KIND/NAME"},
		{[]string{"--prove", "--apply", log}, "--prove says how long --verify watches: give both"},
		{[]string{"--verify", log}, "--verify looks at what --apply did: give both"},
		{[]string{"--verify", "--apply", "a/ds/b"}, "--verify watches an audit log: give one with --audit-log"},
		{[]string{"--verify", "--apply", "-"}, "--verify reads the audit log again and again, which stdin cannot do: give a file or a directory"},
		{[]string{"ds/b"}, "ds/b: in which namespace? give NAMESPACE/ds/b, or one -n"},
		{[]string{"a/replicaset/b"}, "a/replicaset/b: there is no such file, and replicaset is no kind that can be restarted: use deployment, daemonset or statefulset"},
		{[]string{"--within", "7d", "a/ds/b"}, "--within is for what an audit log shows: give one"},
		{[]string{"--within", "soon", log}, `--within: duration "soon": write it like 90d, 36h or 15m`},
		{[]string{"--timeout", "0s", "a/ds/b"}, "--timeout and --verify-timeout must be longer than nothing"},
		{[]string{"--resume", "now", "a/ds/b"}, `--resume "now": write it like 2026-11-22T04:13:00Z`},
		{[]string{"-o", "html", "a/ds/b"}, `-o "html": use one of text, json`},
		{[]string{"a/ds/b"}, "a/daemonset/b is not there"},
	}
	for _, tt := range tests {
		status, stdout, stderr := runWith(t, append([]string{"tokens", "restart", "--kubeconfig", config}, tt.args...)...)
		if status != 2 || stdout != "" || stderr != "kubecred: "+tt.want+"\n" {
			t.Errorf("%v: status %d, stdout %q, stderr %q, want %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

func TestPrintRBAC(t *testing.T) {
	for _, command := range []string{"list", "restart"} {
		status, stdout, _ := runWith(t, "tokens", command, "--print-rbac")
		if status != 0 || !strings.Contains(stdout, "kind: ClusterRole") {
			t.Errorf("%s: status %d, %q", command, status, stdout)
		}
	}
}

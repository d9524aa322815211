package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
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
	if status != 1 || !strings.Contains(stdout, "no request of its new pods was seen") || !strings.Contains(stderr, "for the new tokens of 1 workload, 1s at most") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
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

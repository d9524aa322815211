package cli_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/auditlog/cloudwatch/insightsfake"
)

// insights is a stand-in for CloudWatch that holds the log of the examples.
func insights(t *testing.T) *insightsfake.Server {
	t.Helper()
	f := insightsfake.Start()
	t.Cleanup(f.Close)
	none := filepath.Join(t.TempDir(), "none")
	for _, v := range append(f.Env(), "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	for line := range strings.Lines(string(unpacked(t, logOfIncident))) {
		var e struct{ StageTimestamp time.Time }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		f.Groups["/aws/eks/prod/cluster"] = append(f.Groups["/aws/eks/prod/cluster"], insightsfake.Line{At: e.StageTimestamp, Text: strings.TrimSuffix(line, "\n")})
	}
	return f
}

// unpacked reads a packed file of the examples.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCloudWatchGivesTheSameReport as the file that it was filled from.
func TestCloudWatchGivesTheSameReport(t *testing.T) {
	insights(t)
	common := []string{"-o", "json", "--now", "2026-11-22T04:13:00Z", "--profile", "eks"}
	_, want, _ := runWith(t, append([]string{"tokens", "scan", filepath.FromSlash(logOfIncident)}, common...)...)
	status, got, stderr := runWith(t, append([]string{"tokens", "scan", "cloudwatch://eu-west-1/prod"}, common...)...)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	// What follows tells of the sources, which differ.
	want, _, ok := strings.Cut(want, `  "sources": [`)
	got, _, ok2 := strings.Cut(got, `  "sources": [`)
	if diff := cmp.Diff(want, got); diff != "" || !ok || !ok2 {
		t.Errorf("file and CloudWatch (-file +CloudWatch):\n%s", diff)
	}
	if !strings.HasPrefix(stderr, "cloudwatch://eu-west-1/prod: 2026-11-22 03:13 to 2026-11-22 04:13 UTC; about ") || !strings.Contains(stderr, "cloudwatch://eu-west-1: 4 queries scanned ") {
		t.Errorf("stderr %q", stderr)
	}
}

func TestCloudWatchSaysWhatIsMissing(t *testing.T) {
	f := insights(t)
	f.End = func(_ string, from, _ time.Time) string {
		if from.Hour() == 3 {
			return "Failed"
		}
		return ""
	}
	status, stdout, _ := runWith(t, "tokens", "scan", "cloudwatch://eu-west-1/prod", "--now", "2026-11-22T04:13:00Z")
	if status != 1 || !strings.Contains(stdout, "KC306  cloudwatch://eu-west-1/prod, 2026-11-22 03:13 to 04:00 UTC: could not be read: the query ended as failed\n") {
		t.Errorf("status %d, stdout:\n%s", status, stdout)
	}
}

// TestTwoClustersAreTwo: what healed in one cluster is still dying in the other,
// where an account of the same name has nothing to do with it.
func TestTwoClustersAreTwo(t *testing.T) {
	f := insights(t)
	all := f.Groups["/aws/eks/prod/cluster"]
	var old, young []insightsfake.Line
	for _, l := range all {
		if strings.Contains(l.Text, "migrated-7c9d5b6f4-old11") {
			old = append(old, l)
		}
		if strings.Contains(l.Text, "migrated-7c9d5b6f4-new22") {
			young = append(young, l)
		}
	}
	f.Groups["/aws/eks/stage/cluster"] = old
	f.Groups["/aws/eks/fresh/cluster"] = young
	status, stdout, stderr := runWith(t, "tokens", "scan", "-o", "json", "--now", "2026-11-22T04:13:00Z", "cloudwatch://eu-west-1/prod,stage,fresh,prod")
	var r struct {
		Tokens []struct{ Cluster, ServiceAccount, Pod, Verdict string }
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || status != 1 {
		t.Fatalf("status %d, %v, %q", status, err, stderr)
	}
	got := map[string]string{}
	for _, tok := range r.Tokens {
		if tok.Pod == "migrated-7c9d5b6f4-old11" {
			got[tok.Cluster] = tok.Verdict
		}
	}
	if diff := cmp.Diff(map[string]string{"eu-west-1/prod": "healed", "eu-west-1/stage": "stale"}, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	_, stdout, _ = runWith(t, "tokens", "scan", "--now", "2026-11-22T04:13:00Z", "cloudwatch://eu-west-1/prod,stage")
	for _, want := range []string{"\neu-west-1/stage: apps/migrated   Deployment migrated, by its pods' names\n", "eu-west-1/prod: logging/fluentd\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	for _, want := range []string{"cloudwatch://eu-west-1/prod: 2026-11-22 03:13 ", "cloudwatch://eu-west-1/stage: 2026-11-22 03:13 ", "queries scanned "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in %q", want, stderr)
		}
	}
	for _, command := range [][]string{{"restart"}, {"list", "--audit-log"}} {
		status, _, stderr = runWith(t, append(append([]string{"tokens"}, command...), "cloudwatch://eu-west-1/prod,stage")...)
		if status != 2 || stderr != "kubecred: cloudwatch://eu-west-1/prod and cloudwatch://eu-west-1/stage are two clusters, and this command is about one: name one\n" {
			t.Errorf("%v: status %d, %q", command, status, stderr)
		}
	}
}

func TestCloudWatchFailures(t *testing.T) {
	f := insights(t)
	f.Groups["/aws/eks/calm/cluster"] = nil
	tests := []struct {
		source string
		status int
		want   string
	}{
		{"cloudwatch://prod", 2, `kubecred: cloudwatch://prod: "prod" is no region: write cloudwatch://REGION/CLUSTER, such as cloudwatch://eu-west-1/prod`},
		{"cloudwatch://eu-west-1/gone", 2, "kubecred: cloudwatch://eu-west-1/gone, 2026-11-22 03:13 to 04:00 UTC: there is no log group /aws/eks/gone/cluster in eu-west-1"},
		{"cloudwatch://eu-west-1/calm", 0, "cloudwatch://eu-west-1: 2 queries scanned 0 bytes"},
	}
	for _, tt := range tests {
		status, _, stderr := runWith(t, "tokens", "scan", tt.source, "--now", "2026-11-22T04:13:00Z")
		if status != tt.status || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: status %d, stderr %q, want %q", tt.source, status, stderr, tt.want)
		}
	}
}

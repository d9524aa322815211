package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lokiOf is a stand-in for Loki that holds the log of the examples and gives the
// lines of the time that it is asked for, unfiltered.
func lokiOf(t *testing.T) string {
	t.Helper()
	data := unpacked(t, logOfIncident)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
		end, _ := strconv.ParseInt(r.URL.Query().Get("end"), 10, 64)
		values := [][]string{}
		for line := range strings.Lines(string(data)) {
			var e struct{ RequestReceivedTimestamp time.Time }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Error(err)
			}
			if at := e.RequestReceivedTimestamp.UnixNano(); start <= at && at < end {
				values = append(values, []string{strconv.FormatInt(at, 10), strings.TrimSuffix(line, "\n")})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{
			"resultType": "streams", "result": []any{map[string]any{"stream": map[string]string{"job": "kube-audit"}, "values": values}}}})
	}))
	t.Cleanup(s.Close)
	return "loki+" + s.URL + "/?query=" + url.QueryEscape(`{job="kube-audit", node=~"a|b"}`)
}

// TestDoctorTakesAllSources: files, folders, stdin, engines and the live cluster,
// alone and all at once, and of each what it shows.
func TestDoctorTakesAllSources(t *testing.T) {
	insights(t)
	config := kubeconfig(t, apiServer(t, "incident.json").URL)
	file, loki := filepath.FromSlash(logOfIncident), lokiOf(t)
	dir := t.TempDir()
	copyFile(t, file, filepath.Join(dir, "deep", "audit.log.gz"), 0o600)
	dying := []string{"KC301 kube-system/kube2iam, 2 pods", "KC302 apps/nightly-cron", "KC303 logging/fluentd", "KC304 apps/migrated"}
	living := []string{"KC335 apps/secret/robot-token-abcde"}
	log := func(name string) []string { return []string{"--audit-log", name} }
	tests := []struct {
		title string
		args  []string
		want  []string
	}{
		{"a file", log(file), dying},
		{"a folder", log(dir), dying},
		{"Loki", log(loki), dying},
		{"CloudWatch", log("cloudwatch://eu-west-1/prod"), dying},
		{"CloudWatch, two clusters", log("cloudwatch://eu-west-1/prod,prod"), dying},
		{"the live cluster", []string{"--cluster", "--kubeconfig", config}, append([]string{"KC331 kube-system/daemonset/kube2iam"}, living...)},
		{"the live cluster and Loki", append(log(loki), "--cluster", "--kubeconfig", config), append(slices.Clone(dying), living...)},
		{"all", slices.Concat(log(file), log(dir), log(loki), log("cloudwatch://eu-west-1/prod"), []string{"--cluster", "--kubeconfig", config, "--image-config", "../../examples/credential-provider-config.yaml"}),
			slices.Concat(dying, living, []string{"KC220 provider ecr-credential-provider, pattern 6 \"registry.example.com/*\""})},
	}
	for _, tt := range tests {
		status, stdout, _ := runWith(t, append([]string{"doctor", "-o", "json", "--now", "2026-11-22T04:13:00Z", "--profile", "eks"}, tt.args...)...)
		var r struct {
			Findings []struct{ Code, Subject string }
		}
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || status != 1 {
			t.Errorf("%s: status %d, %v:\n%s", tt.title, status, err, stdout)
			continue
		}
		for _, want := range tt.want {
			n := 0
			for _, f := range r.Findings {
				if f.Code+" "+f.Subject == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %d findings %q in %v", tt.title, n, want, r.Findings)
			}
		}
	}
}

// TestDoctorWithoutTheCluster: a cluster that does not answer hides nothing of
// the log.
func TestDoctorWithoutTheCluster(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	args := []string{"doctor", "--now", "2026-11-22T04:13:00Z", "--cluster", "--kubeconfig", kubeconfig(t, gone.URL), "--audit-log", filepath.FromSlash(logOfIncident)}
	status, stdout, _ := runWith(t, args...)
	for _, want := range []string{"KC340  live cluster: not readable: ", "KC301  kube-system/kube2iam, 2 pods"} {
		if status != 1 || !strings.Contains(stdout, want) {
			t.Errorf("status %d, no %q in:\n%s", status, want, stdout)
		}
	}
}

package cluster

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// BenchmarkProcess50kPods runs the whole program, tokens list, on a cluster of
// 50,000 pods. MiB-rss is the most memory that the process had.
func BenchmarkProcess50kPods(b *testing.B) {
	program := filepath.Join(b.TempDir(), "kubecred")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/kubecred").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s := httptest.NewServer(bigCluster(b, 50_000))
	defer s.Close()
	config := filepath.Join(b.TempDir(), "config")
	text := `{"apiVersion": "v1", "kind": "Config", "current-context": "big", "contexts": [{"name": "big", "context": {"cluster": "big", "user": "big"}}],
		"clusters": [{"name": "big", "cluster": {"server": "` + s.URL + `"}}], "users": [{"name": "big", "user": {}}]}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, format := range []string{"text", "json", "html"} {
		b.Run(format, func(b *testing.B) {
			var most int64
			for b.Loop() {
				cmd := exec.Command(program, "tokens", "list", "--kubeconfig", config, "--profile", "eks", "-o", format)
				if out, err := cmd.Output(); err != nil || len(out) == 0 {
					b.Fatal(err)
				}
				most = max(most, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
			}
			b.ReportMetric(float64(most)/1024, "MiB-rss")
			if most > 256<<10 {
				b.Errorf("%d MiB, want at most 256", most>>10)
			}
		})
	}
}

package auditlog_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/auditlog"
)

// busyLog is n events of which one in a hundred is marked.
func busyLog(n int) []byte {
	var b bytes.Buffer
	marked := event("%08d-cc76-43a4-a493-10b313a5555c")
	plain := strings.Replace(marked, `,"authentication.k8s.io/stale-token":"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"`, `,"authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"system:web\" of ClusterRole \"system:web\" to ServiceAccount \"web/apps\""`, 1)
	for i := range n {
		e := plain
		if i%100 == 0 {
			e = marked
		}
		fmt.Fprintln(&b, strings.Replace(e, "%08d", fmt.Sprintf("%08d", i), 1))
	}
	return b.Bytes()
}

// BenchmarkScan reads the same text in several ways; MB/s is of plain text.
func BenchmarkScan(b *testing.B) {
	log := busyLog(50_000)
	gz := packed(b, "gzip", string(log))
	zst := packed(b, "zstd", string(log))
	for _, bm := range []struct {
		name string
		in   string
		o    auditlog.Options
	}{
		{"verdicts", string(log), auditlog.Options{}},
		{"strict", string(log), auditlog.Options{Strict: true}},
		{"marks", string(log), auditlog.Options{MarksOnly: true}},
		{"gzip", gz, auditlog.Options{}},
		{"zstd", zst, auditlog.Options{}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(log)))
			for b.Loop() {
				if _, err := auditlog.Scan(b.Context(), []auditlog.Source{auditlog.Reader("log", strings.NewReader(bm.in))}, bm.o, func([]auditlog.Event) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("bytes.Count", func(b *testing.B) { // the baseline: only look for the mark
		b.SetBytes(int64(len(log)))
		for b.Loop() {
			bytes.Count(log, []byte("seconds after warning threshold"))
		}
	})
}

package broker

import (
	"os"
	"testing"
)

// What a call pays that the cache answers: who asks, and what is kept for them.
func BenchmarkKey(b *testing.B) {
	br := New("", os.Environ())
	args := []string{"token", "--cluster-name", "demo"}
	b.ReportAllocs()
	for b.Loop() {
		br.key(clientName, "/usr/local/bin/kubecred-aws", args, "")
	}
}

package explain

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// kubeletLog is a log of about n bytes with one fault in it.
func kubeletLog(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "Nov 22 04:%02d:%02d node-1 kubelet[2211]: I1122 04:%02d:%02d.000000    2211 kubelet.go:2531] \"SyncLoop (PLEG): event for pod\" pod=\"default/app-%d\" event={\"ID\":\"00000000-0000-4000-8000-%012d\",\"Type\":\"ContainerStarted\"}\n", i/60%60, i%60, i/60%60, i%60, i, i)
		if i == 40 {
			b.WriteString("Nov 22 04:00:40 node-1 kubelet[2211]: E1122 04:00:40.000000    2211 plugin.go:418] \"Failed to provide credentials for image\" err=\"error execing credential provider plugin ecr-credential-provider for image 111122223333.dkr.ecr.eu-west-1.amazonaws.com/app: exit status 1\"\n")
		}
	}
	return b.String()
}

// BenchmarkPaste is an answer for a paste of 100 KB.
func BenchmarkPaste(b *testing.B) {
	text := kubeletLog(100 << 10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if a := judge(b, text); len(a.Causes) == 0 || a.Causes[0].Finding.Code != "KC243" {
			b.Fatal("the fault was not found")
		}
	}
}

// BenchmarkSample is an answer for a log that is too large to hold.
func BenchmarkSample(b *testing.B) {
	part := []byte(kubeletLog(1 << 20))
	const parts = 64
	b.SetBytes(int64(len(part)) * parts)
	for b.Loop() {
		var readers []io.Reader
		for range parts {
			readers = append(readers, bytes.NewReader(part))
		}
		text, err := Read("kubelet.log", io.MultiReader(readers...))
		if err != nil {
			b.Fatal(err)
		}
		if a := Judge([]*Text{text}, Options{Now: now}); len(a.Causes) == 0 || a.Causes[0].Finding.Code != "KC243" {
			b.Fatal("the fault was not found")
		}
	}
}

// BenchmarkLoad reads the rules and messages, as each process does once.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := readRules(ruleFiles); err != nil {
			b.Fatal(err)
		}
	}
}

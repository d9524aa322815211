//go:build unix

package e2e

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

// TestLoki stores the example's audit log in a Loki and scans what the usual
// query gives back, and Loki itself: the same stale tokens as from the file.
func TestLoki(t *testing.T) {
	t.Parallel()
	ctx := within(t, 20*time.Minute) // building Loki takes most of it, once
	loki := must[*lab.Loki](t)(shared.Loki(ctx))
	name := must[string](t)(filepath.Abs("../../examples/audit-kube-apiserver-1.35.4.log.gz"))
	f := must[*os.File](t)(os.Open(name))
	defer f.Close()
	text := must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(f))))
	if err := loki.PushAudit(ctx, string(text), map[string]string{"job": "kube-audit"}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	const query = `{job="kube-audit"} |= "seconds after warning threshold"`
	var lines []string
	want := strings.Count(string(text), "seconds after warning threshold")
	waitFor(t, ctx, "Loki has all marked lines", func() bool {
		lines = must[[]string](t)(loki.Query(ctx, query, at.Add(-time.Hour), at.Add(time.Hour)))
		return len(lines) >= want
	})
	if len(lines) != want {
		t.Fatalf("%s: %d lines, the file has %d", query, len(lines), want)
	}
	now := []string{"--marks", "--now", at.Format(time.RFC3339)}
	fromFile := scan(t, append(now, name)...)
	for source, report := range map[string]tokenReport{
		"what the usual query gives": scan(t, append(now, file(t, "loki.log", strings.Join(lines, "\n")))...),
		"the engine itself":          scan(t, append(now, "loki+"+loki.URL+`/?query={job="kube-audit"}`)...),
	} {
		if len(report.Tokens) == 0 || len(report.Tokens) != len(fromFile.Tokens) {
			t.Fatalf("%s: %d tokens, %d from the file", source, len(report.Tokens), len(fromFile.Tokens))
		}
		for i, got := range report.Tokens {
			if want := fromFile.Tokens[i]; got.CredentialID != want.CredentialID || !got.DiesAt.Equal(want.DiesAt) {
				t.Errorf("%s: token %d: %+v, from the file %+v", source, i, got, want)
			}
		}
	}
}

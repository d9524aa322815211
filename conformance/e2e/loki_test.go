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
// query gives back: the same stale tokens as from the file itself.
func TestLoki(t *testing.T) {
	t.Parallel()
	ctx := within(t, 15*time.Minute) // building Loki takes most of it, once
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
	lines := must[[]string](t)(loki.Query(ctx, query, at.Add(-time.Hour), at.Add(time.Hour)))
	if want := strings.Count(string(text), "seconds after warning threshold"); len(lines) != want {
		t.Fatalf("%s: %d lines, the file has %d", query, len(lines), want)
	}
	now := []string{"--marks", "--now", at.Format(time.RFC3339)}
	fromLoki := scan(t, append(now, file(t, "loki.log", strings.Join(lines, "\n")))...)
	fromFile := scan(t, append(now, name)...)
	if len(fromLoki.Tokens) == 0 || len(fromLoki.Tokens) != len(fromFile.Tokens) {
		t.Fatalf("%d tokens from Loki, %d from the file", len(fromLoki.Tokens), len(fromFile.Tokens))
	}
	for i, got := range fromLoki.Tokens {
		if want := fromFile.Tokens[i]; got.CredentialID != want.CredentialID || !got.DiesAt.Equal(want.DiesAt) {
			t.Errorf("token %d: %+v, from the file %+v", i, got, want)
		}
	}
}

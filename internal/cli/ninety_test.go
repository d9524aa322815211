package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const logOfNinetyDays = "../../examples/audit-90-days.log.gz"

// TestNinetyDaysLog: the example is what ninetyDaysLog writes. With UPDATE_DOCS=1
// it is written anew.
func TestNinetyDaysLog(t *testing.T) {
	want := ninetyDaysLog()
	if os.Getenv("UPDATE_DOCS") != "" {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.FromSlash(logOfNinetyDays), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(unpacked(t, logOfNinetyDays), want) {
		t.Error("UPDATE_DOCS=1 go test ./internal/cli -run TestNinety rewrites the example")
	}
}

// TestNinetyDays runs the incident of docs/incidents.md day by day and holds the
// story that is told there, and its table, against what kubecred says each day.
func TestNinetyDays(t *testing.T) {
	t.Parallel()
	const (
		kube2iam = "kube-system/kube2iam"
		secrets  = "secrets/kubernetes-external-secrets"
		payments = "apps/payments"
		fluentd  = "logging/fluentd"
	)
	doomed, snoozed := time.Date(2026, 11, 22, 4, 5, 49, 0, time.UTC), time.Date(2027, 1, 21, 9, 1, 0, 0, time.UTC)
	var table strings.Builder
	for day := 1; day <= 91; day++ {
		now := dayOf(day).Format(time.RFC3339)
		status, text, stderr := runWith(t, "tokens", "scan", "--now", now, filepath.FromSlash(logOfNinetyDays))
		if status != 1 || stderr != "" {
			t.Fatalf("day %d: status %d, stderr %q", day, status, stderr)
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		fmt.Fprintf(&table, "day %2d  %s\n", day, lines[len(lines)-1])
		if len(lines) > 60 { // 190 fresh tokens are read by one pod in the end
			t.Errorf("day %d: %d lines", day, len(lines))
		}

		_, out, _ := runWith(t, "tokens", "scan", "-o", "json", "--now", now, filepath.FromSlash(logOfNinetyDays))
		var r struct {
			Tokens []struct {
				ServiceAccount, Verdict string
				DiesAt                  time.Time
			}
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{kube2iam: "stale stale", secrets: "stale", payments: "stale", fluentd: "stale"}
		if day > 30 {
			want[payments] = "healed"
		}
		if day > 60 {
			want[secrets] = "snoozed stale"
		}
		if day >= 90 {
			want[kube2iam], want[fluentd] = "dead dead", "reloads-when-refused"
		}
		if day > 90 { // the token that it took then is an hour old, too
			want[fluentd] = "reloads-when-refused reloads-when-refused"
		}
		got := map[string]string{}
		for _, tok := range r.Tokens {
			if tok.Verdict != "fresh" {
				got[tok.ServiceAccount] = strings.TrimSpace(got[tok.ServiceAccount] + " " + tok.Verdict)
			}
			if tok.ServiceAccount == kube2iam && (tok.DiesAt.Before(doomed) || tok.DiesAt.After(doomed.Add(2*time.Minute))) {
				t.Errorf("day %d: kube2iam dies at %v", day, tok.DiesAt)
			}
			if tok.ServiceAccount == secrets && tok.Verdict == "stale" && day > 60 && tok.DiesAt.Sub(snoozed).Abs() > time.Minute {
				t.Errorf("day %d: %s dies at %v", day, secrets, tok.DiesAt)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("day %d (-want +got):\n%s", day, diff)
		}
	}
	holdTable(t, filepath.Join("..", "..", "docs", "incidents.md"), table.String())
}

// holdTable compares a block of a page, ```text with "day  1" in its first line,
// with what it should be, or rewrites it with UPDATE_DOCS=1.
func holdTable(t *testing.T, page, want string) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "```text\nday  1"
	before, rest, ok := strings.Cut(string(data), begin)
	old, after, ok2 := strings.Cut(rest, "\n```\n")
	if !ok || !ok2 {
		t.Fatalf("%s has no block that begins with day 1", page)
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		text := before + strings.TrimSuffix(begin, "day  1") + strings.TrimSuffix(want, "\n") + "\n```\n" + after
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, "day  1"+old+"\n"); diff != "" {
		t.Errorf("%s; UPDATE_DOCS=1 go test ./internal/cli -run TestNinety rewrites its table (-want +page):\n%s", page, diff)
	}
}

package report_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

var at = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

// sample is a report that uses every field.
func sample() finding.Report {
	return finding.NewReport(at, []finding.Finding{
		{
			Code: "KC101", Road: finding.Client, Severity: finding.Error, Subject: "user prod",
			Message: "exec API v1alpha1, which every client since 1.24 refuses",
			Where:   finding.Where{File: "/home/me/.kube/config", Line: 29, Column: 19, Text: "apiVersion: client.authentication.k8s.io/v1alpha1"},
			Fix:     finding.Fix{Command: "kubecred kubeconfig fix", Summary: "2 lines change"},
		},
		{
			Code: "KC301", Road: finding.Pod, Severity: finding.Error, Subject: "kube-system/kube2iam",
			Message: "refused from 2026-11-23 04:05 UTC, in 23 h 52 min",
			Details: []string{"it read its token once and never again"},
			Due:     at.Add(23*time.Hour + 52*time.Minute + 56*time.Second),
			Fix:     finding.Fix{Summary: "kube2iam 0.10.9 or later"},
			Stopgap: &finding.Fix{Command: "kubectl -n kube-system rollout restart daemonset/kube2iam", Summary: "buys 90 days"},
		},
		{
			Code: "KC102", Road: finding.Client, Severity: finding.Info, Subject: "user \x1b[31mevil\u202e\n", Message: "ok",
		},
	}, []finding.Source{
		{Road: finding.Client, Name: "/home/me/.kube/config", Summary: "1 user"},
		{Road: finding.Pod, Name: "audit.log", Summary: "3 events"},
		{Road: finding.Node, Name: "kubelet.yaml", Summary: "1 provider"},
	})
}

const sampleText = `client   1 error, 1 note
  ~/.kube/config: 1 user
  KC101  user prod: exec API v1alpha1, which every client since 1.24 refuses
         ~/.kube/config:29:19   apiVersion: client.authentication.k8s.io/v1alpha1
         mend   kubecred kubeconfig fix   (2 lines change)
  KC102  user ` + "\uFFFD[31mevil\uFFFD : ok" + `
node     nothing found
  kubelet.yaml: 1 provider
pod      1 error
  audit.log: 3 events
  KC301  kube-system/kube2iam: refused from 2026-11-23 04:05 UTC, in 23 h 52 min
         it read its token once and never again
         buys time   kubectl -n kube-system rollout restart daemonset/kube2iam   (buys 90 days)
         mends it    kube2iam 0.10.9 or later
2 errors, 1 note.  Begin with kube-system/kube2iam: 23 h 52 min left.
`

func render(t *testing.T, format string, r finding.Report, o report.Options) string {
	t.Helper()
	var b bytes.Buffer
	h, err := report.New(format, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	if diff := cmp.Diff(sampleText, render(t, "text", sample(), report.Options{Home: "/home/me"})); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestTextOfNothing(t *testing.T) {
	want := "Nothing to check.\n"
	if got := render(t, "text", finding.NewReport(at, nil, nil), report.Options{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want = "client   nothing found\nNothing found.\n"
	r := finding.NewReport(at, nil, []finding.Source{{Road: finding.Client, Name: "c"}})
	if got := render(t, "text", r, report.Options{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestColorOnlyWhereAllowed(t *testing.T) {
	if got := render(t, "text", sample(), report.Options{}); strings.Contains(got, "\x1b") {
		t.Errorf("an escape sequence in text without colour:\n%q", got)
	}
	got := render(t, "text", sample(), report.Options{Color: true})
	if !strings.Contains(got, "\x1b[31mKC101\x1b[0m") {
		t.Errorf("no red code in text with colour:\n%q", got)
	}
}

func TestJSONReplaysIntoTheSameText(t *testing.T) {
	saved := render(t, "json", sample(), report.Options{})
	r, err := report.Read(strings.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleText, render(t, "text", r, report.Options{Home: "/home/me"})); diff != "" {
		t.Errorf("replayed text (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(saved, render(t, "json", r, report.Options{})); diff != "" {
		t.Errorf("replayed json (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "not a saved report: unexpected end of JSON input"},
		{"[]", "not a saved report: it is a JSON array, and -o json writes none there"},
		{`{"findings":{}}`, "not a saved report: findings is a JSON object, and -o json writes none there"},
		{"{}", `not a saved report: apiVersion "" and kind "", want "kubecred/v1" and "Report"`},
		{`{"apiVersion":"kubecred/v1","kind":"Report","findings":[{"severity":"awful"}]}`,
			`not a saved report: findings[0].severity is "awful", want error, warning or info`},
		{strings.Repeat(" ", 64<<20+1), "larger than 64 MiB, so it is no saved report"},
	}
	for _, tt := range tests {
		if _, err := report.Read(strings.NewReader(tt.in)); err == nil || err.Error() != tt.want {
			t.Errorf("Read: %v, want %s", err, tt.want)
		}
	}
}

func TestNewRefusesUnknownFormat(t *testing.T) {
	_, err := report.New("yaml", os.Stdout, report.Options{})
	want := `unknown format "yaml": use one of ` + strings.Join(report.Names(), ", ")
	if err == nil || err.Error() != want {
		t.Errorf("New: %v, want %s", err, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"kubecred/v1","kind":"Report","at":"2026-11-22T04:13:00Z","findings":[{"severity":"info"}]}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := report.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		h, _ := report.New("text", new(bytes.Buffer), report.Options{})
		if err := h.Handle(r); err != nil {
			t.Error(err)
		}
	})
}

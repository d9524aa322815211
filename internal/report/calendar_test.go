package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/finding"
)

func someDates() finding.Report {
	at := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	soon := finding.New("KC301", "kube-system/kube2iam, 2 pods", "stale token, refused from 2026-11-23 04:05 UTC on")
	soon.Due = at.Add(24 * time.Hour)
	soon.Details = []string{"a; b, c\\d", "ünïcödé " + strings.Repeat("é", 80)}
	soon.Stopgap = &finding.Fix{Command: "kubectl -n kube-system rollout restart daemonset/kube2iam", Summary: "buys 90 days"}
	soon.Fix = finding.Fix{Summary: "kube2iam 0.10.9 or later"}
	later := finding.New("KC301", "apps/reporter", "stale token")
	later.Due = at.Add(80 * 24 * time.Hour)
	past := finding.New("KC302", `apps/"cron"`, "=dead")
	past.Due = at.Add(-time.Minute)
	return finding.NewReport(at, []finding.Finding{soon, later, past}, nil)
}

func show(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	h, err := New(name, &b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(someDates()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCalendar(t *testing.T) {
	got := show(t, "ics")
	for line := range strings.SplitSeq(strings.TrimSuffix(got, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	whole := strings.ReplaceAll(got, "\r\n ", "")
	for _, want := range []string{
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "DTSTAMP:20261122T041300Z\r\n",
		"DTSTART:20261122T041300Z\r\nDTEND:20261122T044300Z\r\nSUMMARY:kube-system/kube2iam\\, 2 pods breaks on 2026-11-23 04:13 UTC\r\n", // no time for more notice
		"DTSTART:20270203T041300Z\r\n", // a week before
		`\na\; b\, c\\d\nünïcödé `, `\nbuys time: kubectl -n kube-system rollout restart daemonset/kube2iam\n`,
		"END:VEVENT\r\nEND:VCALENDAR\r\n",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("lacks %q:\n%s", want, whole)
		}
	}
	if n := strings.Count(whole, "BEGIN:VEVENT"); n != 2 {
		t.Errorf("%d events, want one for each of the two that lie ahead", n)
	}
}

func TestTable(t *testing.T) {
	got := show(t, "csv")
	for _, want := range []string{
		"code,severity,road,subject,message,due,file,line,column,fix,fix_command,buys_time_command\n",
		`KC301,error,pod,"kube-system/kube2iam, 2 pods",`, `,2026-11-23T04:13:00Z,`, `"apps/""cron""",'=dead,`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	got := show(t, "prom")
	for _, want := range []string{
		"kubecred_report_timestamp_seconds 1795320780\n", `kubecred_findings{road="pod",severity="error"} 3` + "\n",
		`kubecred_finding_due_timestamp_seconds{code="KC302",road="pod",severity="error",subject="apps/\"cron\""} 1795320720` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// TestCalendarHasOneEventAWorkload, at its first date, whatever is found of it;
// and the same one when it has another number of pods.
func TestCalendarHasOneEventAWorkload(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	events := func(findings ...finding.Finding) []string {
		var b bytes.Buffer
		if err := (ics{&b}).Handle(finding.NewReport(at, findings, nil)); err != nil {
			t.Fatal(err)
		}
		var out []string
		for line := range strings.SplitSeq(strings.ReplaceAll(b.String(), "\r\n ", ""), "\r\n") {
			if strings.HasPrefix(line, "UID:") || strings.HasPrefix(line, "SUMMARY:") {
				out = append(out, line)
			}
		}
		return out
	}
	due := func(code, subject string, days int) finding.Finding {
		f := finding.New(code, subject, "")
		f.Due = at.Add(time.Duration(days) * 24 * time.Hour)
		return f
	}
	two := events(due("KC305", "secrets/kes", 60), due("KC301", "secrets/kes, 2 pods", 30), due("KC330", "apps/deployment/web", 80))
	if len(two) != 4 || !slices.Contains(two, `SUMMARY:secrets/kes\, 2 pods breaks on 2026-12-22 04:13 UTC`) || !slices.Contains(two, `SUMMARY:apps/deployment/web may break on 2027-02-10 04:13 UTC`) {
		t.Errorf("%q, want two events", two)
	}
	three := events(due("KC301", "secrets/kes, 3 pods", 20))
	if len(three) != 2 || !slices.Contains(two, three[0]) {
		t.Errorf("another number of pods is another event: %q, before %q", three, two)
	}
	if other := events(due("KC105", "user a", 1), due("KC106", "user a", 2)); len(other) != 4 {
		t.Errorf("%q, want an event for each matter of a kubeconfig's user", other)
	}
}

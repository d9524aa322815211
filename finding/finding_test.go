package finding_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/finding"
)

var at = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

func TestReportIsSortedByRoadSeverityDateAndPlace(t *testing.T) {
	f := func(code string, road finding.Road, s finding.Severity, due time.Duration, line int) finding.Finding {
		out := finding.Finding{Code: code, Road: road, Severity: s, Where: finding.Where{File: "f", Line: line}}
		if due != 0 {
			out.Due = at.Add(due)
		}
		return out
	}
	want := []finding.Finding{
		f("KC101", finding.Client, finding.Error, 0, 3),
		f("KC101", finding.Client, finding.Error, 0, 9),
		f("KC102", finding.Client, finding.Warning, 0, 1),
		f("KC201", finding.Node, finding.Error, 0, 1),
		f("KC301", finding.Pod, finding.Error, time.Hour, 9),
		f("KC301", finding.Pod, finding.Error, 2*time.Hour, 1),
		f("KC300", finding.Pod, finding.Error, 0, 1),
		f("KC302", finding.Pod, finding.Info, 0, 1),
	}
	for i := range want {
		want[i].Evidence = map[string]any{}
	}
	given := []finding.Finding{want[6], want[4], want[7], want[1], want[5], want[2], want[3], want[0]}
	if diff := cmp.Diff(want, finding.NewReport(at, given, nil).Findings); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestReportSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		severity := rapid.SampledFrom([]finding.Severity{finding.Error, finding.Warning, finding.Info})
		one := rapid.Custom(func(t *rapid.T) finding.Finding {
			f := finding.Finding{
				Code:     rapid.StringMatching(`KC[1-4][0-9]{2}`).Draw(t, "code"),
				Severity: severity.Draw(t, "severity"),
				Road:     rapid.SampledFrom(finding.Roads()).Draw(t, "road"),
				Subject:  rapid.String().Draw(t, "subject"),
				Message:  rapid.String().Draw(t, "message"),
				Where:    finding.Where{File: rapid.String().Draw(t, "file"), Line: rapid.IntRange(0, 9).Draw(t, "line")},
				Evidence: map[string]any{"n": 1.5, "s": rapid.String().Draw(t, "evidence")},
			}
			if rapid.Bool().Draw(t, "dated") {
				f.Due = at.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "due")) * time.Second)
			}
			if rapid.Bool().Draw(t, "stopgap") {
				f.Stopgap = &finding.Fix{Summary: "s", Command: "c"}
			}
			return f
		})
		want := finding.NewReport(at, rapid.SliceOf(one).Draw(t, "findings"), nil)
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got finding.Report
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after JSON (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, finding.NewReport(got.At, got.Findings, got.Sources)); diff != "" {
			t.Errorf("sorted again (-want +got):\n%s", diff)
		}
	})
}

func TestWorstAndCount(t *testing.T) {
	r := finding.NewReport(at, []finding.Finding{{Severity: finding.Info}, {Severity: finding.Warning}, {Severity: finding.Info}}, nil)
	if got := r.Worst(); got != finding.Warning {
		t.Errorf("Worst() = %q, want warning", got)
	}
	if got := r.Count(finding.Info); got != 2 {
		t.Errorf("Count(info) = %d, want 2", got)
	}
	if got := finding.NewReport(at, nil, nil).Worst(); got != "" {
		t.Errorf("Worst() of nothing = %q, want none", got)
	}
}

func TestSpan(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0 s"},
		{59 * time.Second, "59 s"},
		{-90 * time.Second, "1 min"},
		{time.Hour, "1 h"},
		{23*time.Hour + 52*time.Minute + 56*time.Second, "23 h 52 min"},
		{24 * time.Hour, "1 d"},
		{89*24*time.Hour + 3*time.Hour, "89 d 3 h"},
		{365*24*time.Hour + 3*time.Hour, "365 d"},
	}
	for _, tt := range tests {
		if got := finding.Span(tt.d); got != tt.want {
			t.Errorf("Span(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

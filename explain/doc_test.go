package explain

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/finding"
)

// TestDiagnosisSummary keeps the table of docs/diagnosis.md, and writes it with
// UPDATE_DOCS=1.
func TestDiagnosisSummary(t *testing.T) {
	const name = "../docs/diagnosis.md"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- summary -->\n", "<!-- end of summary -->"
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the marks of the summary are missing")
	}
	want := before + begin + summary(t) + end + after
	if want == string(data) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is out of date: UPDATE_DOCS=1 go test -run TestDiagnosis ./explain", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func summary(t *testing.T) string {
	type row struct{ reports, right, rules int }
	rows := map[finding.Road]*row{}
	for _, road := range finding.Roads() {
		rows[road] = &row{}
	}
	for _, r := range rules() {
		c, _ := finding.Lookup(r.Code)
		rows[c.Road].rules++
	}
	for _, r := range readReports(t) {
		rows[r.Road].reports++
		a := r.answer(t)
		if len(a.Causes) == 0 || a.Causes[0].Finding.Road != r.Road {
			continue
		}
		text := said(t, a.Causes[0].Finding)
		if !slices.ContainsFunc(r.MustSay, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) }) {
			rows[r.Road].right++
		}
	}
	var b strings.Builder
	b.WriteString("| road | reports | right first cause | rules |\n| --- | --- | --- | --- |\n")
	for _, road := range finding.Roads() {
		r := rows[road]
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", road, r.reports, r.right, r.rules)
	}
	return b.String()
}

package report_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

// body is the page without its own style and script, which hold no input.
func body(t *testing.T, page string) string {
	t.Helper()
	_, after, ok := strings.Cut(page, "</style>")
	before, _, ok2 := strings.Cut(after, "<script>")
	if !ok || !ok2 {
		t.Fatal("the page has no style or no script")
	}
	return before
}

func TestHTMLAllowsItselfOnly(t *testing.T) {
	page := render(t, "html", sample(), report.Options{})
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, after, _ := strings.Cut(page, "<"+tag+">")
		text, _, ok := strings.Cut(after, "</"+tag+">")
		if !ok {
			t.Fatalf("no <%s>", tag)
		}
		sum := sha256.Sum256([]byte(text))
		// html/template writes + as a reference.
		want := directive + " &#39;sha256-" + strings.ReplaceAll(base64.StdEncoding.EncodeToString(sum[:]), "+", "&#43;") + "&#39;"
		if !strings.Contains(page, want) {
			t.Errorf("the policy does not name the hash of the page's %s: want %s", tag, want)
		}
	}
	if !strings.Contains(page, "content=\"default-src &#39;none&#39;; ") {
		t.Error("the policy does not begin with default-src 'none'")
	}
	if found := regexp.MustCompile(`(?i)(https?:)?//[a-z]|url\(|@import|<(img|link|iframe|object|embed|base)\b| style=| on[a-z]+=`).FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
	for _, want := range []string{"Begin with kube-system/kube2iam: 23 h 52 min left.", `<time datetime="2026-11-23T04:05:56Z">2026-11-23 04:05 UTC</time>`,
		`<b>1</b> <span class="long">within 24 hours</span>`, `<code class="command">kubectl -n kube-system rollout restart daemonset/kube2iam</code>`,
		`/home/me/.kube/config:29:19 <code>apiVersion: client.authentication.k8s.io/v1alpha1</code>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// TestHTMLEscapes plants markup in every field that can come from an input.
func TestHTMLEscapes(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}</style></script><!--` + "\x1b]0;\u202e"
	f := finding.Finding{
		Code: evil, Road: finding.Road(evil), Severity: finding.Severity(evil), Subject: evil, Message: evil,
		Where:   finding.Where{File: evil, Line: 1, Text: evil},
		Details: []string{evil}, Due: at.Add(time.Hour),
		Fix: finding.Fix{Summary: evil, Command: "javascript:alert(1)//" + evil}, Stopgap: &finding.Fix{Summary: evil, Command: evil},
		Evidence: map[string]any{evil: evil, "list": []any{evil, map[string]any{evil: []any{evil}}}, "namespace": evil},
	}
	g := f
	g.Road, g.Severity = finding.Pod, finding.Error
	page := render(t, "html", finding.NewReport(at, []finding.Finding{f, g}, []finding.Source{{Road: finding.Road(evil), Name: evil, Summary: evil}}), report.Options{})
	text := body(t, page)
	tags := regexp.MustCompile(`="[^"]*"`).ReplaceAllString(text, `=""`)
	if found := regexp.MustCompile(`(?i)<[^>]*\son[a-z]+`).FindString(tags); found != "" {
		t.Errorf("an attribute that runs a script: %q", found)
	}
	if found := regexp.MustCompile(`(?i)<(script|img|!--)|[\x1b\x{202e}]`).FindString(text); found != "" {
		t.Errorf("the page holds %q", found)
	}
	if n := strings.Count(page, "<script>"); n != 1 {
		t.Errorf("%d scripts, want the page's own", n)
	}
	if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the text itself is lost")
	}
}

func TestHTMLOfNothing(t *testing.T) {
	page := render(t, "html", finding.NewReport(at, nil, nil), report.Options{})
	for _, want := range []string{"<title>kubecred: nothing found</title>", "<h1>Nothing found.</h1>", "<p>Nothing was found.</p>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "When it happens") {
		t.Error("a timeline of nothing")
	}
}

// many is a report of n tokens over a year, in 40 namespaces.
func many(n int) finding.Report {
	var all []finding.Finding
	for i := range n {
		all = append(all, finding.Finding{
			Code: "KC101", Road: finding.Pod, Severity: []finding.Severity{finding.Error, finding.Warning, finding.Info}[i%3],
			Subject: fmt.Sprintf("team-%02d/worker-%d", i%40, i), Message: "refused", Due: at.Add(time.Duration(i-n/10) * 2 * time.Hour),
			Evidence: map[string]any{"pods": []any{fmt.Sprintf("worker-%d-x", i)}},
		})
	}
	return finding.NewReport(at, all, nil)
}

func TestHTMLOfManyFoldsNamespaces(t *testing.T) {
	small, large := render(t, "html", many(30), report.Options{}), render(t, "html", many(5000), report.Options{})
	if !strings.Contains(small, `<details class="group" open>`) || strings.Contains(large, `<details class="group" open>`) {
		t.Error("namespaces should stand open on a small page and folded on a large one")
	}
	if n := strings.Count(large, `<tr role="row" id="f`); n != 5000 {
		t.Errorf("%d rows, want 5000", n)
	}
	if len(large) > 10<<20 {
		t.Errorf("%d bytes for 5,000 findings, want at most 10 MiB", len(large))
	}
}

// TestHTMLShowsEachDate: a finding is due at its first token's end, and the
// timeline has a dot for the others as well.
func TestHTMLShowsEachDate(t *testing.T) {
	r := finding.NewReport(at, []finding.Finding{{
		Code: "KC301", Road: finding.Pod, Severity: finding.Error, Subject: "kube-system/kube2iam, 2 pods", Due: at.Add(time.Hour),
		Evidence: map[string]any{"tokens": []any{
			map[string]any{"diesAt": at.Add(time.Hour).Format(time.RFC3339)},
			map[string]any{"diesAt": at.Add(72 * time.Hour).Format(time.RFC3339)},
			map[string]any{"diesAt": "soon"}, "nonsense",
		}},
	}}, nil)
	page := render(t, "html", r, report.Options{})
	for _, want := range []string{`<title>kube-system/kube2iam, 2 pods: 2026-11-25 04:13 UTC</title>`, ">kube2iam</a>", "in 1 h, 2 dates"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func BenchmarkHTMLOf5000(b *testing.B) {
	r := many(5000)
	for b.Loop() {
		h, err := report.New("html", discard{}, report.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Handle(r); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

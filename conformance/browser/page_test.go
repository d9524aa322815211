package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

var at = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)

const hostile = `"><script>window.evil=1</script><img src=https://example.com/x onerror="window.evil=2"></td></table><style>*{display:none}</style>{{.}}`

// tokens is a report of n tokens over a year, with a hostile user agent in each,
// and one finding of another road.
func tokens(n int) finding.Report {
	all := []finding.Finding{{
		Code: "KC101", Road: finding.Client, Severity: finding.Error, Subject: "user prod", Message: "exec API v1alpha1, which every client since 1.24 refuses",
		Where: finding.Where{File: "/home/me/.kube/config", Line: 29, Column: 19, Text: "apiVersion: client.authentication.k8s.io/v1alpha1"},
		Fix:   finding.Fix{Summary: "2 lines change", Command: "kubecred kubeconfig fix"},
	}}
	for i := range n {
		name := fmt.Sprintf("worker-%d", i)
		all = append(all, finding.Finding{
			Code: "KC301", Road: finding.Pod, Severity: []finding.Severity{finding.Error, finding.Warning, finding.Info}[i%3],
			Subject: fmt.Sprintf("team-%02d/%s", i%40, name), Message: "stale token, refused when it ends",
			Details: []string{"it read its token once and never again"}, Due: at.Add(time.Duration(i-n/10) * 8760 * time.Hour / time.Duration(n)),
			Stopgap: &finding.Fix{Summary: "buys 90 days", Command: fmt.Sprintf("kubectl -n team-%02d rollout restart deployment/%s", i%40, name)},
			Fix:     finding.Fix{Summary: "a version that reads the token file again"},
			Evidence: map[string]any{"pods": []any{name + "-x7k2p"}, "clients": []any{map[string]any{"userAgent": hostile, "sourceIP": "10.0.1.7"}},
				"credentialID": "JTI=a5978672-0000-4000-8000-000000000000"},
		})
	}
	return finding.NewReport(at, all, []finding.Source{{Road: finding.Pod, Name: "audit.log.gz", Summary: "1,459 events " + hostile}})
}

// write writes a report's page and returns its address.
func write(t *testing.T, r finding.Report) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := report.New("html", f, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(r); err != nil {
		t.Fatal(err)
	}
	return "file://" + filepath.ToSlash(name)
}

// shown counts the rows that are to be seen.
const shown = `[...document.querySelectorAll("#rows > tr")].filter(r => r.checkVisibility()).length`

// status is the line that says how many that are.
const status = `document.getElementById("count").textContent`

// set changes a field of the filters as a person does, and tells the page.
func (b *tab) set(field, value string) {
	b.t.Helper()
	b.value(fmt.Sprintf(`(() => {
		const e = document.forms.filters.elements[%q];
		e.value = %q;
		e.dispatchEvent(new Event("input", {bubbles: true}));
	})()`, field, value))
}

func TestPageFilters(t *testing.T) {
	b := open(t, 1280, 900)
	b.run(chromedp.Navigate(write(t, tokens(60))))
	b.want(shown, 61.0)
	b.want(status, "61 findings")
	b.want(`document.querySelector("h1").textContent.startsWith("Begin with user prod")`, true)

	b.value(`document.forms.filters.elements.q.focus()`)
	b.run(chromedp.KeyEvent("worker-7 team-07"))
	b.want(shown, 1.0)
	b.want(status, "1 finding, 61 without the filter")
	b.run(chromedp.Click(`button[type="reset"]`))
	b.until(shown, 61.0)

	b.run(chromedp.Click(`input[value="warning"]`))
	b.want(shown, 41.0)
	b.run(chromedp.Click(`input[value="warning"]`))
	b.set("road", "client")
	b.want(shown, 1.0)
	b.set("road", "")
	b.set("namespace", "team-03")
	b.want(shown, 2.0)
	b.set("namespace", "")
	b.set("bucket", "0")
	b.want(`[...document.querySelectorAll("#rows > tr")].filter(r => !r.hidden).every(r => r.querySelector("td:last-child").textContent.includes("ago"))`, true)
	b.set("q", "no such text")
	b.want(status, "0 findings, 61 without the filter")

	// A link of the timeline reaches its row, whatever is filtered away.
	b.value(`document.querySelector(".timeline li a").click()`)
	b.until(`(() => { const r = document.querySelector("tr:target"); return !!r && !r.hidden && r.querySelector("details").open && !document.forms.filters.elements.q.value; })()`, true)
}

func TestPageAtFiveThousand(t *testing.T) {
	b := open(t, 1280, 900)
	address := write(t, tokens(5000))
	began := time.Now()
	b.run(chromedp.Navigate(address))
	b.until(status, "100 of 5,001 findings")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%v until it could be used, want at most 20 s", took)
	}
	b.want(shown, 100.0)
	b.run(chromedp.Click("#some"))
	b.want(shown, 200.0)
	b.set("q", "worker-4999")
	b.want(status, "1 finding, 5,001 without the filter")
	b.set("q", "")
	b.run(chromedp.Click("#all"))
	b.want(status, "5,001 findings")
	b.want(`document.getElementById("paging").hidden`, true)
	// Namespaces are folded, and unfold by the keyboard.
	b.want(`document.querySelectorAll(".group[open]").length`, 0.0)
	b.run(chromedp.Focus(".group summary"), chromedp.KeyEvent("\r"))
	b.want(`document.querySelectorAll(".group[open]").length`, 1.0)
}

// TestPageWithoutScripts: everything is there, only the filters are not.
func TestPageWithoutScripts(t *testing.T) {
	b := open(t, 1280, 900)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.run(chromedp.Navigate(write(t, tokens(300))))
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	b.want(shown, 301.0)
	b.want(`document.getElementById("filters").checkVisibility()`, false)
	b.want(`document.querySelectorAll("button:not([hidden])").length > 0 && [...document.querySelectorAll("button")].every(e => !e.checkVisibility())`, true)
}

// TestPageOnAPhone: nothing is wider than the screen, in either scheme, and what
// can be pressed is not too small to read.
func TestPageOnAPhone(t *testing.T) {
	b := open(t, 360, 740)
	b.run(chromedp.Navigate(write(t, tokens(60))))
	b.value(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	b.want(`document.documentElement.scrollWidth`, 360.0)
	b.want(`[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest(".hidden, .skip, thead, .long") && e.getBoundingClientRect().right > 361).map(e => e.outerHTML.slice(0, 80)).join()`, "")
}

func TestPageSchemesHaveContrast(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, 1280, 900)
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		b.run(chromedp.Navigate(write(t, tokens(30))))
		b.value(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		b.want(contrast, "")
		b.want(`matchMedia("(prefers-color-scheme: dark)").matches`, scheme == "dark")
	}
}

// contrast names the texts whose contrast with what is behind them is below the
// 4.5 of WCAG 2.2, 1.4.3.
const contrast = `(() => {
	const rgb = (s) => (s.match(/[\d.]+/g) || []).map(Number);
	const light = (c) => {
		const f = c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2];
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgb(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const bad = new Set();
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || e.closest("svg, script, option") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
	}
	return [...bad].join(", ");
})()`

// TestPageForAssistiveTechnology looks at what a screen reader is told.
func TestPageForAssistiveTechnology(t *testing.T) {
	b := open(t, 1280, 900)
	b.run(chromedp.Navigate(write(t, tokens(20))))
	roles := b.roles()
	for role, atLeast := range map[string]int{"banner": 1, "main": 1, "contentinfo": 1, "search": 1, "table": 2, "columnheader": 6, "rowheader": 21, "row": 21, "status": 1, "region": 4, "searchbox": 1, "checkbox": 3, "combobox": 3} {
		if roles[role] < atLeast {
			t.Errorf("%d of role %s, want at least %d", roles[role], role, atLeast)
		}
	}
	b.want(`document.documentElement.lang`, "en")
	b.want(`document.querySelectorAll("h1").length`, 1.0)
	b.want(`[...document.querySelectorAll("input, select")].filter(e => !e.labels.length).length`, 0.0)
	b.want(`(() => { const ids = [...document.querySelectorAll("[id]")].map(e => e.id); return ids.length - new Set(ids).size; })()`, 0.0)
	b.want(`[...document.querySelectorAll('a[href^="#"]')].filter(a => !document.getElementById(a.getAttribute("href").slice(1))).length`, 0.0)
	// The first stop of the tab key leads past everything to the findings.
	b.run(chromedp.KeyEvent("\t"))
	b.until(`document.activeElement.textContent`, "Skip to the findings")
	b.run(chromedp.KeyEvent("\r"))
	b.until(`location.hash`, "#findings")
}

// TestPageDoesNotRunWhatAnInputHolds: the hostile user agent of every finding
// stands on the page as text.
func TestPageDoesNotRunWhatAnInputHolds(t *testing.T) {
	b := open(t, 1280, 900)
	b.run(chromedp.Navigate(write(t, tokens(10))))
	b.want(`window.evil === undefined`, true)
	b.want(`document.images.length + document.querySelectorAll("iframe, object, link, base").length`, 0.0)
	b.want(`document.scripts.length === 1 && document.querySelectorAll("style").length === 1`, true)
	b.want(fmt.Sprintf(`[...document.querySelectorAll(".evidence dd")].filter(e => e.textContent === %q).length`, hostile), 10.0)
	// What got in all the same would be stopped by the page's own policy.
	b.value(`(() => { const s = document.createElement("script"); s.textContent = "window.evil = 3"; document.body.append(s); })()`)
	b.want(`window.evil === undefined`, true)
	b.expect("script-src")
	b.value(`fetch("https://example.com/").catch(() => { window.refused = true; })`)
	b.until(`window.refused === true`, true)
	b.expect("connect-src", "Content Security Policy")
	if !strings.Contains(b.csp(), "default-src 'none'") {
		t.Errorf("policy %s", b.csp())
	}
}

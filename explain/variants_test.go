package explain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// variants are ways in which the same text comes out of a terminal, a log
// collector, a chat or a mail.
func variants(s string) map[string]string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	each := func(f func(i int, l string) string) string {
		var out []string
		for i, l := range lines {
			out = append(out, f(i, l))
		}
		return strings.Join(out, "\n") + "\n"
	}
	quoted, _ := json.Marshal(s)
	return map[string]string{
		"Windows line ends": strings.Join(lines, "\r\n") + "\r\n",
		"colours":           each(func(_ int, l string) string { return "\x1b[31m" + strings.ReplaceAll(l, " ", " \x1b[1m") + "\x1b[0m" }),
		"quoted in a mail":  each(func(_ int, l string) string { return "> " + l }),
		"fenced":            "I get this:\n\n```console\n" + s + "\n```\n\nAny idea?\n",
		"indented":          each(func(_ int, l string) string { return "        " + l }),
		"a terminal's width": each(func(_ int, l string) string {
			var b strings.Builder
			for i, r := range []rune(l) {
				if i > 0 && i%100 == 0 {
					b.WriteByte('\n')
				}
				b.WriteRune(r)
			}
			return b.String()
		}),
		"container runtime": each(func(i int, l string) string {
			return fmt.Sprintf("2026-11-22T04:11:%02d.133602000Z stderr F %s", i%60, l)
		}),
		"kubectl logs":   each(func(_ int, l string) string { return "[pod/app-5b7d6f4c8-tq2wn/main] " + l }),
		"compose":        each(func(_ int, l string) string { return "app-1  | " + l }),
		"journal":        each(func(_ int, l string) string { return "Nov 22 04:11:41 node-1 app[1234]: " + l }),
		"GitHub Actions": each(func(_ int, l string) string { return "2026-11-22T04:11:41.1336020Z " + l }),
		"Terraform": "╷\n│ Error: " + each(func(i int, l string) string {
			if i == 0 {
				return l
			}
			return "│ " + l
		}) + "│ \n╵\n",
		"JSON log":     `{"level":"error","ts":"2026-11-22T04:11:41Z","msg":"failed","error":` + string(quoted) + "}\n",
		"logfmt":       `time="2026-11-22T04:11:41Z" level=error msg=` + string(quoted) + "\n",
		"curly quotes": strings.NewReplacer(`"`, "”", "'", "’").Replace(s),
		"non-breaking": strings.ReplaceAll(s, " ", "\u00a0"),
		"line numbers": each(func(i int, l string) string { return fmt.Sprintf("%5d\t%s", i+1, l) }),
		"UTF-8 mark":   "\ufeff" + s,
	}
}

// TestVariants: the first cause stays right however the text was carried. Each
// guise is tried on another fifth of the reports.
func TestVariants(t *testing.T) {
	right, all := map[string]int{}, map[string]int{}
	for n, r := range readReports(t) {
		if k := r.Input.Kind; !strings.Contains(k, "error") && !strings.Contains(k, "log") {
			continue
		}
		for name, text := range variants(r.Input.Text) {
			if (n+len(name))%5 > 0 {
				continue
			}
			in := []string{text}
			for _, w := range r.Input.With {
				in = append(in, w)
			}
			all[name]++
			if r.answered(t, judge(t, in...)) {
				right[name]++
			} else {
				t.Logf("%s: %s is not answered any more", name, r.ID)
			}
		}
	}
	for name, n := range all {
		least := 97
		if name == "a terminal's width" {
			least = 92
		}
		if right[name]*100 < n*least {
			t.Errorf("%s: %d of %d right, want %d %%", name, right[name], n, least)
		}
	}
}

// answered tells whether the first cause is the one that the thread settled on.
func (r report) answered(t *testing.T, a Answer) bool {
	if len(a.Causes) == 0 || a.Causes[0].Finding.Road != r.Road {
		return false
	}
	text := said(t, a.Causes[0].Finding)
	for _, w := range r.MustSay {
		if !strings.Contains(text, strings.ToLower(w)) {
			return false
		}
	}
	return true
}

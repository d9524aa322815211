package kubeconfig

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fataler is a test or a property's.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// patched makes the changes of a unified diff, as patch does without fuzz.
func patched(t fataler, before, diff string) string {
	t.Helper()
	if diff == "" {
		return before
	}
	old := strings.SplitAfter(before, "\n")
	if old[len(old)-1] == "" {
		old = old[:len(old)-1]
	}
	var out strings.Builder
	at := 0
	take := func(want string) string {
		if at >= len(old) || strings.TrimSuffix(old[at], "\n") != strings.TrimSuffix(want, "\n") {
			t.Fatalf("line %d is not %q\n%s", at+1, want, diff)
		}
		at++
		return old[at-1]
	}
	_, body, _ := strings.Cut(diff, "\n+++ ")
	_, body, _ = strings.Cut(body, "\n")
	lines := strings.SplitAfter(body, "\n")
	for i, line := range lines {
		ends := i+1 < len(lines) && strings.HasPrefix(lines[i+1], `\ No newline`)
		switch text := line[min(1, len(line)):]; {
		case strings.HasPrefix(line, "@@"):
			var from, olds, to, news int
			if _, err := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &from, &olds, &to, &news); err != nil {
				t.Fatal(err, line)
			}
			if olds > 0 {
				from--
			}
			for at < from {
				out.WriteString(take(old[at]))
			}
			if n := strings.Count(out.String(), "\n"); n != to-min(1, news) {
				t.Fatalf("%d lines stand before %s", n, line)
			}
		case strings.HasPrefix(line, "-"):
			take(text)
		case strings.HasPrefix(line, "+"):
			if ends {
				text = strings.TrimSuffix(text, "\n")
			}
			out.WriteString(text)
		case strings.HasPrefix(line, " "):
			out.WriteString(take(text))
		}
	}
	for at < len(old) {
		out.WriteString(take(old[at]))
	}
	return out.String()
}

// checkDiff: a diff makes of the one text the other.
func checkDiff(t fataler, e *Edit, before []byte) {
	t.Helper()
	diff := e.Diff("f", before)
	if got := patched(t, string(before), diff); got != string(e.Data) {
		t.Fatalf("the diff makes %q, want %q\n%s", got, e.Data, diff)
	}
}

func TestDiff(t *testing.T) {
	users := func(version string) string {
		return strings.Repeat("- name: dev\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/"+version+"\n      command: foo\n      args: [a]\n      env: []\n      installHint: x\n", 3)
	}
	f, err := Parse("f", []byte("apiVersion: v1\nusers:\n"+users("v1alpha1")))
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.Fix(V1beta1)
	if err != nil {
		t.Fatal(err)
	}
	diff := e.Diff("f", f.Data)
	if minus, plus := strings.Count(diff, "\n-"), strings.Count(diff, "\n+"); minus != 3 || plus != 1+3 || strings.Count(diff, "@@ -") != 3 {
		t.Errorf("%d lines go, %d come\n%s", minus, plus, diff)
	}
	checkDiff(t, e, f.Data)
	same := &Edit{Data: f.Data, before: f.Data}
	if got := same.Diff("f", f.Data); got != "" {
		t.Errorf("a diff of nothing: %q", got)
	}
	for before, want := range map[string]string{
		"":          "--- f\n+++ f\n@@ -0,0 +1,2 @@\n+a\n+b\n",
		"# old\n":   "--- f\n+++ f\n@@ -1,1 +1,2 @@\n-# old\n+a\n+b\n",
		"b":         "--- f\n+++ f\n@@ -1,1 +1,2 @@\n-b\n\\ No newline at end of file\n+a\n+b\n",
		"a\n":       "--- f\n+++ f\n@@ -1,1 +1,2 @@\n a\n+b\n",
		"a\nx\nb\n": "--- f\n+++ f\n@@ -1,3 +1,2 @@\n a\n-x\n b\n",
	} {
		if got := (&Edit{Data: []byte("a\nb\n")}).Diff("f", []byte(before)); got != want {
			t.Errorf("%q: %q, want %q", before, got, want)
		}
	}
}

// TestDiffProperty: splices of any kind are shown as what they do.
func TestDiffProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a\n", "b\n", "\n", "c", "a: b\r\n"})
		before := strings.Join(rapid.SliceOfN(line, 0, 30).Draw(t, "before"), "")
		e := &Edit{before: []byte(before)}
		at := 0
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			from := rapid.IntRange(at, len(before)).Draw(t, "from")
			to := rapid.IntRange(from, min(len(before), from+8)).Draw(t, "to")
			e.splices = append(e.splices, splice{span{from, to}, strings.Join(rapid.SliceOfN(line, 0, 3).Draw(t, "text"), "")})
			at = to
		}
		data, err := apply(e.before, e.splices)
		if err != nil {
			t.Fatal(err)
		}
		e.Data = data
		for _, text := range []string{before, "other\n" + before} {
			diff := e.Diff("f", []byte(text))
			if got := patched(t, text, diff); got != string(data) {
				t.Fatalf("the diff makes %q of %q, want %q\n%s", got, text, data, diff)
			}
		}
	})
}

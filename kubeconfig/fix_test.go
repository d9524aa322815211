package kubeconfig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestFixVectors runs `fix` over testdata/fix: NAME.in becomes NAME.out, with the
// --to that the first line's comment names; bad/NAME.in is refused as NAME.err says.
func TestFixVectors(t *testing.T) {
	names, err := filepath.Glob("testdata/fix/*.in")
	if err != nil || len(names) == 0 {
		t.Fatal("no vectors: ", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			in := readTest(t, name)
			want := readTest(t, strings.TrimSuffix(name, ".in")+".out")
			f, err := Parse("config", in)
			if err != nil {
				t.Fatal(err)
			}
			edit, err := f.Fix(vectorTo(in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(edit.Data)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			again, err := Parse("config", edit.Data)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := again.Fix(vectorTo(in)); err != nil || len(e.Changes) > 0 || !bytes.Equal(e.Data, edit.Data) {
				t.Errorf("a second run is not idle: %+v, %v", e, err)
			}
		})
	}
	bad, err := filepath.Glob("testdata/fix/bad/*.in")
	if err != nil || len(bad) == 0 {
		t.Fatal("no bad vectors: ", err)
	}
	for _, name := range bad {
		t.Run("bad/"+filepath.Base(name), func(t *testing.T) {
			in := readTest(t, name)
			f, err := Parse("config", in)
			if err == nil {
				_, err = f.Fix(vectorTo(in))
			}
			want := strings.TrimSpace(string(readTest(t, strings.TrimSuffix(name, ".in")+".err")))
			if err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

func readTest(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// vectorTo reads `# --to v1` from the first line.
func vectorTo(in []byte) string {
	first, _, _ := strings.Cut(string(in), "\n")
	if _, to, ok := strings.Cut(strings.TrimSpace(first), "# --to "); ok {
		return to
	}
	return ""
}

// TestFixEveryLineEnd runs one file through all line ends, with and without the
// last one.
func TestFixEveryLineEnd(t *testing.T) {
	const in = "# c\nusers:\n- name: a\n  user:\n    exec:\n      command: aws-iam-authenticator\n      apiVersion: client.authentication.k8s.io/v1alpha1\n"
	const out = "# c\nusers:\n- name: a\n  user:\n    exec:\n      command: aws-iam-authenticator\n      apiVersion: client.authentication.k8s.io/v1\n      interactiveMode: IfAvailable\n"
	for _, end := range []string{"\n", "\r\n", "\r"} {
		for _, cut := range []bool{false, true} {
			convert := func(s string) string {
				s = strings.ReplaceAll(s, "\n", end)
				if cut {
					s = strings.TrimSuffix(s, end)
				}
				return s
			}
			f, err := Parse("config", []byte(convert(in)))
			if err != nil {
				t.Fatal(err)
			}
			e, err := f.Fix("")
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.Data); got != convert(out) {
				t.Errorf("%q, cut %v: %q, want %q", end, cut, got, convert(out))
			}
		}
	}
}

// outside returns the text with its edited spans cut out, for old and new.
func outside(t *testing.T, f *File, p *planner) {
	t.Helper()
	data, err := apply(f.Data, p.splices)
	if err != nil {
		t.Fatal(err)
	}
	at, shift := 0, 0
	for _, s := range sorted(p.splices) {
		if !bytes.Equal(f.Data[at:s.start], data[at+shift:s.start+shift]) {
			t.Fatalf("bytes %d to %d changed without being edited", at, s.start)
		}
		shift += len(s.text) - (s.end - s.start)
		at = s.end
	}
	if !bytes.Equal(f.Data[at:], data[at+shift:]) {
		t.Fatal("the rest changed without being edited")
	}
}

// checkEdit is the promise of every edit: nothing outside the edited spans
// changes, the rest reads as before, and the edited values read as intended.
func checkEdit(t *testing.T, f *File, to string) {
	t.Helper()
	e, err := f.Fix(to)
	if err != nil {
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	p, err := f.planFix(to)
	if err != nil {
		t.Fatal(err)
	}
	outside(t, f, p)
	checkDiff(t, e, f.Data)
	g, err := Parse("again", e.Data)
	if err != nil {
		t.Fatalf("the result can't be read: %v\n%q", err, e.Data)
	}
	if len(f.Users) != len(g.Users) {
		t.Fatalf("%d users became %d", len(f.Users), len(g.Users))
	}
	for i, u := range g.Users {
		if u.Exec == nil {
			continue
		}
		want, _, err := target(f.Users[i], to)
		if err != nil {
			t.Fatal(err)
		}
		if want != "" && u.Exec.Version() != want {
			t.Fatalf("user %d asks for %q, want %s", i, u.Exec.APIVersion.Value, want)
		}
		if u.Exec.Version() == V1 && !u.Exec.InteractiveMode.Set() {
			t.Fatalf("user %d asks for v1 without interactiveMode", i)
		}
		before, after := value(f.Users[i].node), value(u.node)
		forget(before)
		forget(after)
		if !reflect.DeepEqual(before, after) && !strings.Contains(fmt.Sprint(before), "NaN") {
			t.Fatalf("user %d: %v became %v", i, before, after)
		}
	}
	if again, err := g.Fix(to); err != nil || len(again.Changes) > 0 {
		t.Fatalf("a second run is not idle: %+v, %v\n%q", again, err, e.Data)
	}
}

// forget takes the fields away that fix may change.
func forget(entry any) {
	m, _ := entry.(map[string]any)
	user, _ := m["user"].(map[string]any)
	exec, _ := user["exec"].(map[string]any)
	delete(exec, "apiVersion")
	delete(exec, "interactiveMode")
}

func FuzzFix(f *testing.F) {
	for _, pattern := range []string{"testdata/fix/*.in", "testdata/fix/bad/*.in", "../examples/kubeconfig-*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "")
			f.Add(data, "v1")
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, to string) {
		if len(data) > 1<<16 || to != "" && to != V1 && to != V1beta1 {
			return
		}
		file, err := Parse("f", data)
		if err != nil {
			return
		}
		checkEdit(t, file, to)
		Check([]*File{file}, Env{})
	})
}

// TestFixProperty writes exec entries in many styles and edits them.
func TestFixProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(r, "end")
		var b strings.Builder
		b.WriteString("apiVersion: v1" + end + "users:" + end)
		for i := range rapid.IntRange(1, 4).Draw(r, "users") {
			version := rapid.SampledFrom([]string{"v1alpha1", "v1beta1", "v1", "v2"}).Draw(r, "version")
			quotes := rapid.SampledFrom([]string{"", `"`, "'"}).Draw(r, "quotes")
			command := rapid.SampledFrom([]string{"aws-iam-authenticator", "gke-gcloud-auth-plugin", "mine"}).Draw(r, "command")
			comment := rapid.SampledFrom([]string{"", "   # é: {x}", " #"}).Draw(r, "comment")
			mode := rapid.SampledFrom([]string{"", "Never", "ifavailable", "~"}).Draw(r, "mode")
			api := quotes + "client.authentication.k8s.io/" + version + quotes
			pairs := []string{"apiVersion: " + api, "command: " + command}
			if mode != "" {
				pairs = append(pairs, "interactiveMode: "+mode)
			}
			if rapid.Bool().Draw(r, "reverse") {
				pairs[0], pairs[1] = pairs[1], pairs[0]
			}
			switch rapid.SampledFrom([]string{"block", "flow", "lines"}).Draw(r, "style") {
			case "block":
				fmt.Fprintf(&b, "- name: u%d%s  user:%s    exec:%s", i, end, end, end)
				for _, p := range pairs {
					b.WriteString("      " + p + comment + end)
				}
			case "flow":
				fmt.Fprintf(&b, "- {name: u%d, user: {exec: {%s}}}%s%s", i, strings.Join(pairs, ", "), comment, end)
			case "lines":
				fmt.Fprintf(&b, "- name: u%d%s  user: {exec: {%s", i, end, end)
				for j, p := range pairs {
					if j < len(pairs)-1 {
						p += ","
					}
					b.WriteString("      " + p + comment + end)
				}
				b.WriteString("    }}" + end)
			}
		}
		text := b.String()
		if rapid.Bool().Draw(r, "cut") {
			text = strings.TrimSuffix(text, end)
		}
		f, err := Parse("f", []byte(text))
		if err != nil {
			r.Fatalf("%v\n%q", err, text)
		}
		checkEdit(t, f, rapid.SampledFrom([]string{"", V1beta1}).Draw(r, "to"))
		if e, err := f.Fix(""); err != nil || e == nil {
			r.Fatalf("refused: %v\n%s", err, text)
		}
	})
}

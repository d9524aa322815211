package iammap

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// TestFaults reads the files of testdata/faults. The comments at a file's
// head say what Lint must find: "# want CODE LINE text of the message", and
// what the entries are: "# entry LINE ARN".
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for l := range strings.Lines(string(data)) {
				if rest, ok := strings.CutPrefix(strings.TrimSpace(l), "# want "); ok {
					want = append(want, rest)
				}
			}
			sources, err := Read(filepath.Base(name), data)
			if err != nil {
				t.Fatal(err)
			}
			got := Lint(sources...)
			used := make([]bool, len(got))
			for _, w := range want {
				fields := strings.SplitN(w, " ", 3)
				found := false
				for i, f := range got {
					if !used[i] && f.Code == fields[0] && fmt.Sprint(f.Where.Line) == fields[1] && strings.Contains(f.Message, fields[2]) {
						used[i], found = true, true
						break
					}
				}
				if !found {
					t.Errorf("lacks %s", w)
				}
			}
			for i, f := range got {
				if !used[i] {
					t.Errorf("unexpected %s %d %s: %s", f.Code, f.Where.Line, f.Subject, f.Message)
				}
			}
		})
	}
}

// TestInsidePositions: wherever an ARN stands in YAML inside of a YAML or JSON
// string, its position leads back to it.
func TestInsidePositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		comments := rapid.SliceOfN(rapid.StringMatching(`#[ a-zü"'\\]{0,12}`), 0, 4).Draw(t, "comments")
		n := rapid.IntRange(1, 4).Draw(t, "entries")
		var inner strings.Builder
		for i := range n {
			for _, c := range comments {
				fmt.Fprintln(&inner, c)
			}
			fmt.Fprintf(&inner, "- username: u%d\n  rolearn: arn:aws:iam::111122223333:role/r%d\n  groups: [g]\n", i, i)
		}
		object := map[string]any{"kind": "ConfigMap", "metadata": map[string]any{"name": "aws-auth", "namespace": "kube-system"}, "data": map[string]any{"mapRoles": inner.String()}}
		var data []byte
		var err error
		switch rapid.IntRange(0, 2).Draw(t, "style") {
		case 0:
			data, err = json.Marshal(object)
		case 1:
			data, err = json.MarshalIndent(object, "", "\t")
		case 2:
			data, err = yaml.Marshal(object)
		}
		if err != nil {
			t.Fatal(err)
		}
		sources, err := Read("x", data)
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if got := len(sources[0].Entries); got != n {
			t.Fatalf("%d entries, want %d, in\n%s", got, n, data)
		}
		lines := splitLines(string(data))
		for _, e := range sources[0].Entries {
			rest := string([]rune(lines[e.ARNPos.Line-1])[e.ARNPos.Column-1:])
			if !strings.HasPrefix(rest, e.ARN) {
				t.Fatalf("%s is said to stand at %v, where %q stands, in\n%s", e.ARN, e.ARNPos, rest, data)
			}
		}
	})
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ data, want string }{
		{"", "x: it is empty"},
		{" \n", "x: it is empty"},
		{"\xff\xfe", "x: not UTF-8 text"},
		{"hello", "x: no IAM mappings in it: give an aws-auth ConfigMap, a config file of aws-iam-authenticator, IAMIdentityMapping objects, a dynamic mapping file, or access entries as the aws CLI prints them"},
		{"kind: Pod\n", "x: no IAM mappings in it: give an aws-auth ConfigMap, a config file of aws-iam-authenticator, IAMIdentityMapping objects, a dynamic mapping file, or access entries as the aws CLI prints them"},
		{strings.Repeat("#", MaxSize+1), "x: more than 32 MiB of mappings"},
	}
	for _, tt := range tests {
		if _, err := Read("x", []byte(tt.data)); message(err) != tt.want {
			t.Errorf("Read(%.20q) = %v, want %s", tt.data, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sources, err := Read("x", data)
		if err != nil {
			return
		}
		lines := len(splitLines(string(data)))
		for _, finding := range Lint(sources...) {
			if finding.Where.Line < 0 || finding.Where.Line > lines+1 {
				t.Errorf("%s is said to stand in line %d of %d", finding.Code, finding.Where.Line, lines)
			}
		}
		table := NewTable(sources...)
		for _, s := range sources {
			for _, e := range s.Entries {
				if x, err := table.Explain(Question{ARN: e.ARN}); err == nil && x.Mapped && x.Match.Entry == nil {
					t.Errorf("%s is mapped by nothing", e.ARN)
				}
			}
		}
	})
}

func FuzzARN(f *testing.F) {
	for _, s := range []string{"arn:aws:iam::111122223333:role/a/b", "arn:aws:sts::111122223333:assumed-role/r/s", "arn:::::", "x"} {
		f.Add(s)
	}
	entry := "- rolearn: arn:aws:iam::111122223333:role/a\n  username: x\n"
	f.Fuzz(func(t *testing.T, arn string) {
		_, canonical, err := Canonical(arn)
		if err == nil {
			if _, again, err := Canonical(canonical); err != nil || again != canonical {
				t.Errorf("Canonical(%q) = %q, and of that %q, %v", arn, canonical, again, err)
			}
		}
		sources, err := Read("x", []byte(entry))
		if err != nil {
			t.Fatal(err)
		}
		if x, err := NewTable(sources...).Explain(Question{ARN: arn}); err == nil && x.Mapped && !strings.EqualFold(x.Canonical, "arn:aws:iam::111122223333:role/a") {
			t.Errorf("%q is mapped as %q", arn, x.Canonical)
		}
	})
}

package kubeconfig

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// bomb is the document that grows a billion times when its aliases are spelled out.
func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c <= 'j'; c++ {
		b.WriteString(string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 8) + "*" + string(c-1) + "]\n")
	}
	return b.String()
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "empty: it holds no kubeconfig"},
		{"blank", "\n  \n", "empty: it holds no kubeconfig"},
		{"comment", "# nothing\n", "empty: it holds no kubeconfig"},
		{"null", "null\n", "empty: it holds no kubeconfig"},
		{"binary", "\x7fELF\x02\x01\x01\x00", "line 1, column 8: not a text file: it holds bytes that are no UTF-8 text"},
		{"latin1", "users:\n- name: J\xfcrgen\n", "line 2, column 10: not a text file: it holds bytes that are no UTF-8 text"},
		{"utf-16", "\xff\xfea\x00", "line 1, column 1: written as UTF-16, as a redirection in Windows PowerShell does: save it as UTF-8"},
		{"list", "- a\n- b\n", "line 1, column 1: not a kubeconfig: it holds a list where clusters, users and contexts should be"},
		{"text", "hello\n", "line 1, column 1: not a kubeconfig: it holds a single value where clusters, users and contexts should be"},
		{"tab", "users:\n\t- name: x\n", "line 2, column 1: not valid YAML: a tab where only spaces may stand"},
		{"cut quote", "users:\n- name: \"pro", "line 2: not valid YAML: a quoted text that is never closed: the file may be cut off"},
		{"cut flow", "users: [{name: a, user: {token: x", "line 1: not valid YAML: a list or mapping in brackets that is not closed: the file may be cut off"},
		{"anchor", "users: *nowhere\n", "not valid YAML: an alias (*name) whose anchor (&name) does not stand before it"},
		{"alias bomb", aliasBomb(), "aliases that repeat each other without end, which clients refuse as an attack"},
		{"self", "a: &a [*a]\n", "line 1, column 8: an anchor that holds itself"},
		{"too deep", strings.Repeat("[", 20_000), "not valid YAML: nested too deeply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("config", []byte(tt.text))
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("Parse: %v, want %s", err, tt.want)
			}
			if tt.want == ErrEmpty.Error() && !errors.Is(err, ErrEmpty) {
				t.Errorf("%v is not ErrEmpty", err)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	deep := "a: " + strings.Repeat("{b: ", 100) + "1" + strings.Repeat("}", 100) + "\n"
	for name, text := range map[string]string{
		"100 levels":      deep,
		"flow":            "{users: [{name: a}]}",
		"json with tabs":  "{\n\t\"users\": [\n\t\t{\"name\": \"a\"}\n\t]\n}\n",
		"byte order mark": "\ufeffusers:\n- name: a\n",
		"two documents":   "users:\n- name: a\n---\nusers:\n- name: b\n",
		"CRLF":            "users:\r\n- name: a\r\n",
		"no last newline": "users:\n- name: a",
		"duplicate keys":  "users: []\nusers:\n- name: a\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("config", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if name == "100 levels" {
				return
			}
			if len(f.Users) != 1 || f.Users[0].Name.Value != "a" {
				t.Errorf("users: %+v, want one of the name a", f.Users)
			}
			at := f.at(f.Users[0].Name.node)
			if at < 0 || !bytes.HasPrefix(bytes.TrimLeft(f.Data[at:], `"`), []byte("a")) {
				t.Errorf("the name is at byte %d, where no a is", at)
			}
		})
	}
}

func TestParseBoundsTheSize(t *testing.T) {
	if _, err := Parse("config", make([]byte, MaxSize+1)); err == nil || err.Error() != "larger than 64 MiB, so it is no kubeconfig" {
		t.Errorf("Parse: %v", err)
	}
	// A file of a gigabyte is refused by its size, without reading it.
	name := t.TempDir() + "/large"
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(1 << 30); err != nil {
		t.Skip("can't make a sparse file here: ", err)
	}
	if _, err := ReadFile(name); err == nil || err.Error() != "larger than 64 MiB, so it is no kubeconfig" {
		t.Errorf("ReadFile: %v", err)
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	text := "# ümläut 日本\r\nusers:\r\n- {\"näme\": 1, name: \"prød\", user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}}\r\n"
	f, err := Parse("config", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	x := f.Users[0].Exec.APIVersion
	s, ok := f.scalarSpan(x.node)
	if !ok || string(f.Data[s.start:s.end]) != "client.authentication.k8s.io/v1alpha1" {
		t.Fatalf("span %v %v: %q", s, ok, f.Data[s.start:s.end])
	}
	if line, column := f.lineColumn(s.start); line != x.Line || column != x.Column {
		t.Errorf("%d:%d, want %d:%d", line, column, x.Line, x.Column)
	}
	if x.Line != 3 || x.Column != 55 {
		t.Errorf("the version stands at %d:%d, want 3:55", x.Line, x.Column)
	}
}

// FuzzPositions: every scalar that has a span is written there, and reading what
// stands there gives its value again.
func FuzzPositions(f *testing.F) {
	for _, name := range []string{"../examples/kubeconfig-2021.yaml", "../examples/kubeconfig-aws-cli-1.45.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("{\"users\": [{\"name\": \"\\u00e4\\/b\"}], 'x''y': &a !!str z, w: *a}"))
	f.Add([]byte("a: |\n  x\n  y\nb: >-\n  z\nc: plain\n  over lines\nd: \"q\n  r\"\ne:\nf: ~\n"))
	f.Add([]byte("\ufeffa: \u0085b\r\nc: \u2028d\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		file, err := Parse("f", data)
		if err != nil {
			return
		}
		file.eachScalar(file.root, func(n *yamlNode) {
			s, ok := file.scalarSpan(n)
			if !ok {
				return
			}
			raw := file.Data[s.start:s.end]
			line, column := file.lineColumn(file.at(n))
			if line != n.Line || column != n.Column {
				t.Fatalf("%q at %d:%d is said to be at %d:%d", raw, n.Line, n.Column, line, column)
			}
			again, err := Parse("f", append([]byte("k: "), raw...))
			if err != nil || bytes.ContainsAny(raw, "\n\r\u0085\u2028\u2029") {
				return // a flow text outside its brackets may mean something else
			}
			if got := again.root.Content[1]; got.Value != n.Value && got.Kind == n.Kind {
				t.Fatalf("the span of %q holds %q, which reads %q", n.Value, raw, got.Value)
			}
		})
	})
}

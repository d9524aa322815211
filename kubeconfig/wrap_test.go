package kubeconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// wrapAndBack wraps a text, checks what it then says, and unwraps it.
func wrapAndBack(t rapidOrTest, text string) (wrapped, back string) {
	t.Helper()
	f, err := Parse("config", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	e, err := f.Wrap(Broker)
	if err != nil {
		t.Fatalf("wrap: %v\n%s", err, text)
	}
	noted := map[string]bool{}
	for _, n := range e.Notes {
		noted[n.Subject] = true
	}
	g, err := Parse("config", e.Data)
	if err != nil {
		t.Fatalf("%v\n%s", err, e.Data)
	}
	for i, u := range g.Users {
		if u.Exec == nil || noted[subject("user", "users", i, u.Name)] {
			continue
		}
		was := f.Users[i].Exec
		command, args, ok := u.Exec.Wrapped()
		wantCommand, wantArgs := was.Issuer()
		if !ok || command != wantCommand || strings.Join(args, "\x00") != strings.Join(wantArgs, "\x00") {
			t.Fatalf("user %d runs %q %q, want %q %q\n%s", i, command, args, wantCommand, wantArgs, e.Data)
		}
	}
	if again, err := g.Wrap(Broker); err != nil || len(again.Changes) > 0 {
		t.Fatalf("a second wrap is not idle: %+v %v", again, err)
	}
	b, err := g.Unwrap()
	if err != nil {
		t.Fatalf("unwrap: %v\n%s", err, e.Data)
	}
	return string(e.Data), string(b.Data)
}

type rapidOrTest interface {
	Helper()
	Fatalf(format string, args ...any)
}

func TestWrapVectors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"block",
			"users:\n- name: a\n  user:\n    exec:\n      args: # why\n      # first\n      - --region # here\n      - x\n      command: aws # mine\n",
			"users:\n- name: a\n  user:\n    exec:\n      args: # why\n      # first\n      - client\n      - --\n      - aws\n      - --region # here\n      - x\n      command: kubecred-exec # mine\n",
		},
		{
			"brackets",
			"users:\n- name: a\n  user: {exec: {command: \"aws\", args: [\"token\", '-i']}}\n",
			"users:\n- name: a\n  user: {exec: {command: \"kubecred-exec\", args: [\"client\", \"--\", \"aws\", \"token\", '-i']}}\n",
		},
		{
			"brackets over lines",
			"users:\n- name: a\n  user: {exec: {command: aws, args: [\n    token,\n    -i\n  ]}}\n",
			"users:\n- name: a\n  user: {exec: {command: kubecred-exec, args: [\n    client,\n    --,\n    aws,\n    token,\n    -i\n  ]}}\n",
		},
		{
			"no args",
			"users:\n- name: a\n  user:\n    exec:\n      command: gke-gcloud-auth-plugin # x\n      env: null",
			"users:\n- name: a\n  user:\n    exec:\n      command: kubecred-exec # x\n      args: [client,  --, gke-gcloud-auth-plugin]\n      env: null",
		},
		{
			"null args",
			"users:\n- name: a\n  user:\n    exec:\n      args: null\n      command: x\n- name: b\n  user:\n    exec:\n      command: x\n      args:\n",
			"users:\n- name: a\n  user:\n    exec:\n      args: [client, --,  x]\n      command: kubecred-exec\n- name: b\n  user:\n    exec:\n      command: kubecred-exec\n      args: [client,   --, x]\n",
		},
		{
			"json",
			"{\n  \"users\": [{\"name\": \"a\", \"user\": {\"exec\": {\n    \"command\": \"aws\",\n    \"args\": [\n      \"eks\"\n    ]\n  }}}]\n}\n",
			"{\n  \"users\": [{\"name\": \"a\", \"user\": {\"exec\": {\n    \"command\": \"kubecred-exec\",\n    \"args\": [\n      \"client\",\n      \"--\",\n      \"aws\",\n      \"eks\"\n    ]\n  }}}]\n}\n",
		},
		{
			"shared",
			"x: &x {command: aws, args: &args [eks, get-token]}\nusers:\n- name: a\n  user: {exec: *x}\n- name: b\n  user: {exec: {<<: *x, env: []}}\n",
			"x: &x {command: kubecred-exec, args: &args [client, --, aws, eks, get-token]}\nusers:\n- name: a\n  user: {exec: *x}\n- name: b\n  user: {exec: {<<: *x, env: []}}\n",
		},
		{
			"relative and wrapped are left",
			"users:\n- name: a\n  user: {exec: {command: ./aws}}\n- name: b\n  user: {exec: {command: /usr/bin/kubecred-exec, args: [client, --no-cache, --, aws]}}\n",
			"users:\n- name: a\n  user: {exec: {command: ./aws}}\n- name: b\n  user: {exec: {command: /usr/bin/kubecred-exec, args: [client, --no-cache, --, aws]}}\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrapped, back := wrapAndBack(t, tt.in)
			if d := cmp.Diff(tt.want, wrapped); d != "" {
				t.Errorf("wrapped -want +got\n%s", d)
			}
			if strings.Contains(tt.in, "kubecred-exec") {
				return
			}
			if d := cmp.Diff(tt.in, back); d != "" {
				t.Errorf("unwrapped -want +got\n%s", d)
			}
		})
	}
}

func TestWrapRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"users:\n- name: a\n  user: {exec: {command: aws, args: &args [eks]}}\n- name: b\n  user: {exec: {command: gke, args: *args}}\n": "line 3, column 26: the change would alter more of users than is meant, because an anchor shares it with other entries",
		"users:\n- name: a\n  user: {exec: {command: aws, args: eks}}\n":                                                                 "line 3, column 37: args is a string, where a list is wanted",
	} {
		f, err := Parse("config", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Wrap(Broker); err == nil || err.Error() != want {
			t.Errorf("%v, want %s\n%s", err, want, text)
		}
	}
}

func TestWrapAndBackOnEveryFile(t *testing.T) {
	n := 0
	for _, pattern := range []string{"../examples/kubeconfig-*.yaml", "testdata/fix/*.in", "testdata/fix/*.out", "testdata/check/plugins.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n++
			t.Run(filepath.Base(name), func(t *testing.T) {
				if _, back := wrapAndBack(t, string(data)); back != string(data) {
					t.Errorf("-want +got\n%s", cmp.Diff(string(data), back))
				}
			})
		}
	}
	if n == 0 {
		t.Fatal("no files found")
	}
}

// TestWrapProperty writes exec entries in many styles, wraps and unwraps them.
func TestWrapProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(r, "end")
		var b strings.Builder
		b.WriteString("users:" + end)
		for i := range rapid.IntRange(1, 3).Draw(r, "users") {
			comment := rapid.SampledFrom([]string{"", " # é: [x]"}).Draw(r, "comment")
			command := rapid.SampledFrom([]string{"aws", `"aws"`, "'gke'", "/usr/bin/aws"}).Draw(r, "command")
			args := rapid.SampledFrom([]string{"", "[]", "[ ]", "null", "~", "!", "[a]", "[ a, b ]", `["a","b"]`, "[ 'a' , b]", "-", "=", "[-]"}).Draw(r, "args")
			block := rapid.Bool().Draw(r, "block")
			pairs := []string{"command: " + command, "apiVersion: client.authentication.k8s.io/v1beta1"}
			dash := ""
			switch {
			case args == "":
			case args == "!":
				pairs = append(pairs, "args:")
			case args == "-" || args == "=":
				if !block {
					pairs = append(pairs, "args: [a]")
					break
				}
				dash = "      "
				if args == "=" {
					dash += "  "
				}
			case args == "[-]":
				pairs = append(pairs, "args: ["+end+"        a,"+end+"        b"+end+"      ]")
			default:
				pairs = append(pairs, "args: "+args)
			}
			if rapid.Bool().Draw(r, "reverse") {
				for l, h := 0, len(pairs)-1; l < h; l, h = l+1, h-1 {
					pairs[l], pairs[h] = pairs[h], pairs[l]
				}
			}
			if !block {
				for j, p := range pairs {
					if p == "args:" {
						pairs[j] = "args: null"
					}
				}
				fmt.Fprintf(&b, "- {name: u%d, user: {exec: {%s}}}%s%s", i, strings.Join(pairs, ", "), comment, end)
				continue
			}
			fmt.Fprintf(&b, "- name: u%d%s  user:%s    exec:%s", i, end, end, end)
			for _, p := range pairs {
				b.WriteString("      " + p + comment + end)
			}
			if dash != "" {
				b.WriteString("      args:" + comment + end + dash + "- a" + comment + end + dash + `- "b"` + end)
			}
		}
		text := b.String()
		if rapid.Bool().Draw(r, "cut") {
			text = strings.TrimSuffix(text, end)
		}
		if wrapped, back := wrapAndBack(r, text); back != text {
			r.Fatalf("the bytes differ\n%s\nwrapped\n%s", cmp.Diff(text, back), wrapped)
		}
	})
}

func FuzzWrap(f *testing.F) {
	for _, pattern := range []string{"testdata/fix/*.in", "../examples/kubeconfig-*.yaml", "testdata/check/plugins.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		file, err := Parse("f", data)
		if err != nil {
			return
		}
		e, err := file.Wrap(Broker)
		if err != nil || len(e.Changes) == 0 {
			return
		}
		g, err := Parse("f", e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Unwrap(); err != nil {
			t.Logf("wrapped and not unwrapped: %v", err)
		}
	})
}

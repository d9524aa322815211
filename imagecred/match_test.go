package imagecred_test

import (
	"os"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/imagecred"
)

func TestMatchVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/match.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		p, err := imagecred.Compile(cells[0])
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		ref, err := imagecred.ParseImage(cells[1])
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		target, err := imagecred.NewTarget(ref.Repository)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		want := cells[2] == "yes"
		if got := p.Match(&target); got != want {
			t.Errorf("%q matches %q: %v", cells[0], cells[1], got)
		}
		if reason := p.Reason(&target); (reason == "") != want {
			t.Errorf("%q, %q: reason %q", cells[0], cells[1], reason)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{"a b", `parse "https://a b": invalid character " " in host name`},
		{"busybox:latest", `parse "https://busybox:latest": invalid port ":latest" after host`},
		{"reg[ab].io", `parse "https://reg[ab].io": invalid IP-literal`},
		{"reg.io/%zz", `parse "https://reg.io/%zz": invalid URL escape "%zz"`},
		{"reg.io\n", `parse "https://reg.io\n": net/url: invalid control character in URL`},
	}
	for _, tt := range tests {
		_, err := imagecred.Compile(tt.pattern)
		if err == nil || err.Error() != tt.want {
			t.Errorf("Compile(%q): %v, want %s", tt.pattern, err, tt.want)
		}
	}
}

func TestReason(t *testing.T) {
	tests := []struct{ pattern, image, want string }{
		{"reg.io", "reg.io:5000/x", "the image has port 5000, the pattern none: ports must be equal"},
		{"reg.io:5000", "reg.io/x", "the pattern has port 5000, the image none: ports must be equal"},
		{"reg.io:5000", "reg.io:5001/x", "the pattern has port 5000, the image 5001"},
		{"*.io", "a.b.io/x", "the pattern's host has 2 labels, the image's 3: a glob stands for exactly one label"},
		{"reg.io", "a.reg.io/x", "the pattern's host has 2 labels, the image's 3"},
		{"a.reg.io", "b.reg.io/x", `label 1 of the host is "b", the pattern wants "a"`},
		{"Reg.io", "reg.io/x", `label 1 of the host is "reg", the pattern spells it "Reg": case counts`},
		{"reg.io/foo", "reg.io/bar", `the image's path "/bar" does not begin with the pattern's path "/foo"`},
		{"reg.io/*", "reg.io/bar", `a glob in the path "/*": the path is a plain prefix, so only images whose path begins with an asterisk would match, and there are none`},
		{"https://reg.io", "reg.io/bar", `the scheme is part of the pattern: the kubelet puts https:// in front, so the host it looks for is "https"`},
	}
	for _, tt := range tests {
		p, err := imagecred.Compile(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := imagecred.ParseImage(tt.image)
		if err != nil {
			t.Fatal(err)
		}
		target, err := imagecred.NewTarget(ref.Repository)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Reason(&target); got != tt.want {
			t.Errorf("%s, %s:\n got %s\nwant %s", tt.pattern, tt.image, got, tt.want)
		}
	}
}

// TestLabelsMatchAsGlobs compares whole hosts with path.Match, label by label.
func TestLabelsMatchAsGlobs(t *testing.T) {
	label := rapid.StringMatching(`[ab*]{1,4}`)
	text := rapid.StringMatching(`[ab]{1,5}`)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "labels")
		want := true
		var pattern, host []string
		for range n {
			p, h := label.Draw(t, "pattern"), text.Draw(t, "host")
			if rapid.Bool().Draw(t, "same") {
				h = strings.ReplaceAll(p, "*", "b")
			}
			ok, err := path.Match(p, h)
			if err != nil {
				t.Fatal(err)
			}
			want = want && ok
			pattern, host = append(pattern, p), append(host, h)
		}
		p, err := imagecred.Compile(strings.Join(pattern, "."))
		if err != nil {
			t.Fatal(err)
		}
		target, err := imagecred.NewTarget(strings.Join(host, ".") + "/x")
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(&target); got != want {
			t.Fatalf("%v matches %v: %v, want %v", pattern, host, got, want)
		}
	})
}

func TestMatchAllocatesNothing(t *testing.T) {
	patterns := thousandPatterns(t)
	target, err := imagecred.NewTarget("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app")
	if err != nil {
		t.Fatal(err)
	}
	matched := 0
	if n := testing.AllocsPerRun(10, func() {
		for i := range patterns {
			if patterns[i].Match(&target) {
				matched++
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for 1,000 patterns, want none", n)
	}
	if matched == 0 {
		t.Error("nothing matched")
	}
}

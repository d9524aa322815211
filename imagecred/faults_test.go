package imagecred_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/imagecred"
)

func TestFaults(t *testing.T) {
	// pattern, then "CODE[!] -> instead" of each fault; ! is for never.
	tests := []struct{ pattern, want string }{
		{"reg.io", ""},
		{"reg.io:5000", ""},
		{"reg.io:5000/team/", ""},
		{"*.azurecr.io", ""},
		{"*.gcr.io", ""},
		{"*-docker.pkg.dev", ""},
		{"docker.io", ""},
		{"localhost", ""},
		{"localhost:5000", ""},
		{"registry:5000", ""},
		{"10.0.0.1:5000", ""},
		{"[::1]:5000", ""},
		{"public.ecr.aws", ""},
		{"*.dkr.ecr.*.amazonaws.com", ""},
		{"*.dkr.ecr.*.amazonaws.com.cn", ""},
		{"*.dkr-ecr.*.on.aws", ""},
		{"*.dkr.ecr-fips.*.amazonaws.com", ""},
		{"*.dkr.ecr.us-iso-east-1.c2s.ic.gov", ""},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ""},
		{"*.dkr.ecr.us-gov-west-1.amazonaws.com", ""},
		{"*.dkr.ecr.*.amazonaws.*", ""},

		{"reg.io/*", "KC220! -> reg.io"},
		{"reg.io/team/*", "KC220! -> reg.io/team/"},
		{"reg.io/team-*", "KC220! -> reg.io/team-"},
		{"reg.io:5000/**", "KC220! -> reg.io:5000"},
		{"*.registry.io/*", "KC220! -> *.registry.io"},
		{"https://reg.io", "KC221! -> reg.io"},
		{"http://localhost:5000", "KC221! -> localhost:5000"},
		{"https://index.docker.io/v1/", "KC221! -> docker.io; KC234! -> docker.io"},
		{"https://reg.io/*", "KC221! -> reg.io; KC220! -> reg.io"},
		{"*.dkr.ecr.*.amazonaws.cn", "KC222 -> *.dkr.ecr.*.amazonaws.com.cn"},
		{"*.dkr.ecr.*.amazon.com", "KC222 -> *.dkr.ecr.*.amazonaws.com"},
		{"*.dkr.ecr.*.amazonws.com", "KC222 -> *.dkr.ecr.*.amazonaws.com"},
		{"*.dkr.ecr.cn-north-1.amazonaws.com", "KC222 -> *.dkr.ecr.cn-north-1.amazonaws.com.cn"},
		{"*.dkr.ecr.us-east-1.amazonaws.com.cn", "KC222 -> *.dkr.ecr.us-east-1.amazonaws.com"},
		{"123456789.dkr.ecr.us-east-1.amazonaws.com", "KC222 -> *.dkr.ecr.us-east-1.amazonaws.com"},
		{"*.dkr.ecr.amazonaws.com", "KC224 -> *.dkr.ecr.*.amazonaws.com"},
		{"*.amazonaws.com", "KC224 -> *.dkr.ecr.*.amazonaws.com"},
		{"*.ecr.*.amazonaws.com", "KC224 -> *.dkr.ecr.*.amazonaws.com"},
		{"*", "KC224"},
		{"*.*", "KC224"},
		{"*.io", "KC224"},
		{"reg.io:443", "KC225 -> reg.io"},
		{"reg.io:", "KC225 -> reg.io"},
		{"reg.io/foo", "KC226 -> reg.io/foo/"},
		{"reg.io/v2/", "KC226 -> reg.io"},
		{"u@reg.io", "KC229 -> reg.io"},
		{"reg.io?q", "KC229 -> reg.io"},
		{"reg.io#f", "KC229 -> reg.io"},
		{"Reg.io", "KC230 -> reg.io"},
		{"reg.io/Foo", "KC223! -> reg.io/foo"},
		{"reg.io/foo:1.2", "KC223! -> reg.io/foo"},
		{"reg.io/foo@sha256:abc", "KC223! -> reg.io/foo"},
		{"reg.io//foo", "KC223! -> reg.io/foo"},
		{".reg.io", "KC223! -> reg.io"},
		{"reg.io.", "KC223! -> reg.io"},
		{"my_reg.io", ""},
		{"my~reg.io", "KC223!"},
		{"-reg.io", "KC223!"},
		{"[::1]", "KC223!"},
		{"", "KC223!"},
		{"busybox", "KC223! -> docker.io/library/busybox"},
		{"me/app", "KC223! -> docker.io/me/app"},
		{"index.docker.io", "KC234! -> docker.io"},
		{"registry-1.docker.io", "KC234 -> docker.io"},
	}
	for _, tt := range tests {
		var got []string
		for _, f := range imagecred.Faults(tt.pattern) {
			s := f.Code
			if f.Never {
				s += "!"
			}
			if f.Instead != "" {
				s += " -> " + f.Instead
			}
			got = append(got, s)
		}
		if s := strings.Join(got, "; "); s != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.pattern, s, tt.want)
		}
	}
}

// TestInsteadIsNoWorse holds that advice compiles, and never advises what never
// matches.
func TestInsteadIsNoWorse(t *testing.T) {
	part := rapid.SampledFrom([]string{"reg", "io", "*", ".", "/", ":", "5000", "foo", "https://", "dkr.ecr", "amazonaws.com", "cn", "-", "_", "@", "UP", "%41", "?", "#"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(part, 1, 10).Draw(t, "parts"), "")
		for _, f := range imagecred.Faults(pattern) {
			if f.Instead == "" {
				continue
			}
			if _, err := imagecred.Compile(f.Instead); err != nil {
				t.Fatalf("%q: advised %q: %v", pattern, f.Instead, err)
			}
		}
	})
}

// TestNeverIsTrue holds that a pattern that is said to match nothing matches no
// image made from it.
func TestNeverIsTrue(t *testing.T) {
	part := rapid.SampledFrom([]string{"reg", "io", "*", ".", "/", ":", "5000", "foo", "library", "localhost", "docker.io", "-", "_", "UP", "a"})
	fill := rapid.SampledFrom([]string{"x", "a.b", ""})
	tail := rapid.SampledFrom([]string{"", "x", "/x", "/a/b", ":1"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(part, 1, 8).Draw(t, "parts"), "")
		p, err := imagecred.Compile(pattern)
		if err != nil {
			return
		}
		image := strings.ReplaceAll(pattern, "*", fill.Draw(t, "fill")) + tail.Draw(t, "tail")
		ref, err := imagecred.ParseImage(image)
		if err != nil {
			return
		}
		target, err := imagecred.NewTarget(ref.Repository)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range imagecred.Faults(pattern) {
			if f.Never && p.Match(&target) {
				t.Fatalf("%q is said to match nothing (%s) and matches %s", pattern, f.Message, ref.Repository)
			}
		}
	})
}

func ExamplePattern() {
	pattern, err := imagecred.Compile("*.dkr.ecr.*.amazonaws.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, image := range []string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1", "busybox"} {
		ref, err := imagecred.ParseImage(image)
		if err != nil {
			fmt.Println(err)
			return
		}
		target, err := imagecred.NewTarget(ref.Repository)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(ref.Repository, pattern.Match(&target))
	}
	// Output:
	// 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app true
	// docker.io/library/busybox false
}

func ExampleFaults() {
	for _, f := range imagecred.Faults("registry.example.com/team/*") {
		fmt.Printf("%s: %s\nwrite %s\n", f.Code, f.Message, f.Instead)
	}
	// Output:
	// KC220: a glob in the path "/team/*": the path is a plain prefix, so only images whose path begins with an asterisk would match, and there are none
	// write registry.example.com/team/
}

func ExampleParseImage() {
	for _, image := range []string{"busybox", "me/app:1.2", "registry.example.com:5000/team/app"} {
		ref, err := imagecred.ParseImage(image)
		fmt.Println(ref.Repository, ref.Tag, err)
	}
	// Output:
	// docker.io/library/busybox latest <nil>
	// docker.io/me/app 1.2 <nil>
	// registry.example.com:5000/team/app latest <nil>
}

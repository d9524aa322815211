package imagecred_test

import (
	"os"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(good + "  tokenAttributes: &a {cacheType: Token, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [a, b]}\n- <<: *a\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("---\n...\n---\nproviders: [[], {}, 1]"))
	f.Add([]byte(`{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"CredentialProviderConfig","providers":[{"name":"","matchImages":["",null]}]} `))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := imagecred.Parse("f", data, 0)
		if (c.Refusal == "") != (len(c.Problems) == 0) {
			t.Errorf("refusal %q with %d problems", c.Refusal, len(c.Problems))
		}
		for _, finding := range imagecred.Lint(c, imagecred.LintOptions{}) {
			if finding.Where.File != "f" {
				t.Errorf("%s is at %+v", finding.Code, finding.Where)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com/app")
	f.Add("[::1]:5000/x", "[::1]:5000/x")
	f.Add("https://reg.io/*", "reg.io/x")
	f.Add("u:p@reg.io:0443/%41?q#f", "reg.io:443/A")
	f.Fuzz(func(t *testing.T, pattern, repository string) {
		p, err := imagecred.Compile(pattern)
		faults := imagecred.Faults(pattern)
		if err != nil {
			if len(faults) > 0 {
				t.Errorf("%q does not compile and has faults", pattern)
			}
			return
		}
		target, err := imagecred.NewTarget(repository)
		if err != nil {
			return
		}
		matched := p.Match(&target)
		if want := parseEachTime(pattern, repository); matched != want && !manyColons(pattern) && !manyColons(repository) {
			t.Errorf("%q matches %q: %v, want %v", pattern, repository, matched, want)
		}
		if (p.Reason(&target) == "") != matched {
			t.Errorf("%q matches %q: %v, reason %q", pattern, repository, matched, p.Reason(&target))
		}
	})
}

// manyColons tells whether net/url of Go 1.26 may read the host otherwise than
// the kubelets in use.
func manyColons(s string) bool {
	n := 0
	for _, r := range s {
		if r == ':' {
			n++
		}
	}
	return n > 1
}

func FuzzParseImage(f *testing.F) {
	for _, image := range []string{"", "busybox", "a/b:c@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "LOCAL/x", "[::1]:5000/x", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "x/../y", "-", "a__b/c", "reg.io:/x", "é/x", "[0]:0/0", "u_v.io/x"} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		ref, err := imagecred.ParseImage(image)
		if err != nil {
			return
		}
		target, terr := imagecred.NewTarget(ref.Repository)
		p, perr := imagecred.Compile(target.Registry())
		if (terr == nil) != (perr == nil) {
			t.Fatalf("%q: as an image %v, as a pattern %v", image, terr, perr)
		}
		if terr != nil {
			return
		}
		// An IPv6 address without a port is the one host whose own name fails it.
		if !p.Match(&target) && image[0] != '[' {
			t.Errorf("%q does not match %q: %s", target.Registry(), ref.Repository, p.Reason(&target))
		}
	})
}

func TestBinaries(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "plain", "#!/bin/sh\n")
	if err := os.WriteFile(dir+"/ecr-credential-provider-v1.30", []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := imagecred.Parse("f", []byte(provider("ecr-credential-provider")), 0)
	found := imagecred.Lint(c, imagecred.LintOptions{Version: 35, BinDir: dir})
	last := found[len(found)-1]
	if last.Code != "KC211" || last.Evidence["kubelet"] != "plugin binary executable  did not exist" || last.Fix.Summary != "write name: ecr-credential-provider-v1.30, or install the plugin under the name that is written" {
		t.Errorf("%+v", last)
	}
	found = imagecred.Lint(c, imagecred.LintOptions{Version: 35, BinDir: dir + "/none"})
	if last := found[len(found)-1]; last.Code != "KC211" || last.Message != "the directory of the plugins does not exist, and the kubelet does not start without it" {
		t.Errorf("%+v", last)
	}
}

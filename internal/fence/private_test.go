package fence

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What may stand in the repository of things that name somebody.
var (
	// Accounts of AWS's own documentation and images, and made-up ones.
	madeUpAccount = regexp.MustCompile(`^(?:0{9}\d{3}|(?:1{12}|2{12}|3{12}|4{12}|5{12}|6{12}|7{12}|8{12}|9{12})|11112222333\d|444455556666|555566667777|012345678901|012345678910|123456789012|602401143452)$`)
	madeUpHost    = regexp.MustCompile(`(?:^|\.)example(?:\.(?:com|org|net))?$|^reg\.io$|\.amazonaws\.com$`)
	madeUpPeople  = []string{"me", "you", "bob", "alice", "user", "runner", "ec2-user", "ubuntu", "kubernetes"}
)

var privates = []struct {
	what string
	re   *regexp.Regexp // its first group is what ok judges
	ok   func(string) bool
}{
	{"an AWS account", regexp.MustCompile(`(?:arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:|\b)(\d{12})(?:\.dkr[.-]|:)`), madeUpAccount.MatchString},
	{"an AWS access key", regexp.MustCompile(`\b((?:AKIA|ASIA)[A-Z0-9]{16})\b`), func(s string) bool { return strings.HasSuffix(s, "EXAMPLE") }},
	{"somebody's home", regexp.MustCompile(`(?:^|[^\w])/(?:home|Users)/([A-Za-z0-9._-]+)`), func(s string) bool { return slices.Contains(madeUpPeople, s) }},
	{"a mail address", regexp.MustCompile(`(?:^|[\s<"'(])[A-Za-z0-9._+-]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})\b`), madeUpHost.MatchString},
}

// TestNothingPrivate finds what was carried in with somebody's report or from the
// machine where a change was made: account numbers, keys, homes, mail addresses
// and this checkout's own path.
func TestNothingPrivate(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() {
			if base := d.Name(); rel != "." && (strings.HasPrefix(base, ".") && base != ".ci" || rel == "bin" || rel == "report" || rel == filepath.Join("conformance", "bin")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == "go.sum" || d.Name() == "private_test.go" {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			return nil // no text
		}
		if len(root) > len("/kubecred") && bytes.Contains(data, []byte(root+string(filepath.Separator))) {
			t.Errorf("%s holds the path of this checkout, %s", rel, root)
		}
		for _, p := range privates {
			for _, m := range p.re.FindAllSubmatchIndex(data, -1) {
				if found := string(data[m[2]:m[3]]); !p.ok(found) {
					t.Errorf("%s:%d: %s: %q: put a made-up one in its place, or add it to this test if everybody may know it", rel, 1+bytes.Count(data[:m[2]], []byte("\n")), p.what, found)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

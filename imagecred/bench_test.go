package imagecred_test

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

// patternTexts are 1,000 patterns of the kinds that configs have, many of which
// differ from the image in one label only.
func patternTexts() []string {
	var out []string
	for i := range 250 {
		out = append(out,
			fmt.Sprintf("%012d.dkr.ecr.*.amazonaws.com", 123456789012+i),
			fmt.Sprintf("*.dkr.ecr.eu-west-%d.amazonaws.com", i),
			fmt.Sprintf("registry-%d.example.com:5000/team", i),
			fmt.Sprintf("*.team%d.azurecr.io", i))
	}
	return out
}

func thousandPatterns(tb testing.TB) []imagecred.Pattern {
	var out []imagecred.Pattern
	for _, text := range patternTexts() {
		p, err := imagecred.Compile(text)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

const benchImage = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"

// BenchmarkMatch1000 matches one image against 1,000 compiled patterns.
func BenchmarkMatch1000(b *testing.B) {
	patterns := thousandPatterns(b)
	target, err := imagecred.NewTarget(benchImage)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for i := range patterns {
			if patterns[i].Match(&target) {
				n++
			}
		}
		if n != 1 {
			b.Fatal(n)
		}
	}
}

// BenchmarkParseEachTime1000 does the same as a kubelet does: both sides are
// parsed as URLs for each pattern.
func BenchmarkParseEachTime1000(b *testing.B) {
	patterns := patternTexts()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, p := range patterns {
			if parseEachTime(p, benchImage) {
				n++
			}
		}
		if n != 1 {
			b.Fatal(n)
		}
	}
}

func parseEachTime(pattern, image string) bool {
	p, err := url.Parse("https://" + pattern)
	if err != nil {
		return false
	}
	t, err := url.Parse("https://" + image)
	if err != nil {
		return false
	}
	pHost, pPort := hostAndPort(p)
	tHost, tPort := hostAndPort(t)
	pLabels, tLabels := strings.Split(pHost, "."), strings.Split(tHost, ".")
	if pPort != tPort || len(pLabels) != len(tLabels) || !strings.HasPrefix(t.Path, p.Path) {
		return false
	}
	for i := range pLabels {
		if ok, err := filepath.Match(pLabels[i], tLabels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func hostAndPort(u *url.URL) (host, port string) {
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return u.Host, ""
	}
	return host, port
}

func BenchmarkParseImage(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := imagecred.ParseImage(benchImage + ":1.2.3"); err != nil {
			b.Fatal(err)
		}
	}
}

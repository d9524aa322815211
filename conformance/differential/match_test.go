//go:build unix

package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kubecred/kubecred/imagecred"
)

// matchVectors are pairs that differed once, and some that are easily got wrong.
const matchVectors = "testdata/match.jsonl"

type pair struct {
	Pattern string `json:"pattern"`
	Image   string `json:"image"`
	// Raw images are compared as they are, others are normalised first.
	Raw bool `json:"raw,omitempty"`
}

type matchVerdict struct {
	PatternError string `json:"patternError"`
	ImageError   string `json:"imageError"`
	Repository   string `json:"repository"`
	Tag          string `json:"tag"`
	Digest       string `json:"digest"`
	Match        bool   `json:"match"`
}

// ours is what imagecred makes of a pair.
func ours(p pair) matchVerdict {
	var v matchVerdict
	pattern, err := imagecred.Compile(p.Pattern)
	if err != nil {
		v.PatternError = err.Error()
	}
	v.Repository = p.Image
	if !p.Raw {
		ref, err := imagecred.ParseImage(p.Image)
		if err != nil {
			v.ImageError, v.Repository = err.Error(), ""
			return v
		}
		v.Repository, v.Tag, v.Digest = ref.Repository, ref.Tag, ref.Digest
	}
	if target, err := imagecred.NewTarget(v.Repository); err == nil && v.PatternError == "" {
		v.Match = pattern.Match(&target)
		if reason := pattern.Reason(&target); (reason == "") != v.Match {
			v.PatternError = fmt.Sprintf("Match is %v and the reason %q", v.Match, reason)
		}
	}
	return v
}

func TestMatch(t *testing.T) {
	r := newRand(t)
	o := startOracle(t, "match")
	pairs := readVectors[pair](t, matchVectors)
	vectors := len(pairs)
	for range *pairsFlag {
		pairs = append(pairs, newPair(r))
	}
	matches, invalid, different := 0, 0, 0
	for i, want := range ask[pair, matchVerdict](o, pairs...) {
		if want.Match {
			matches++
		}
		if want.PatternError != "" || want.ImageError != "" {
			invalid++
		}
		if ours(pairs[i]) == want {
			continue
		}
		if different++; different > 5 {
			continue
		}
		small := shrinkPair(pairs[i], func(p pair) bool { return ours(p) != ask[pair, matchVerdict](o, p)[0] })
		t.Errorf("%+v (found as %+v)\n ours    %+v\n kubelet %+v", small, pairs[i], ours(small), ask[pair, matchVerdict](o, small)[0])
		if i >= vectors {
			keepVector(t, matchVectors, small)
		}
	}
	fmt.Printf("%s: %d pairs, %d matches, %d invalid, %d different\n", t.Name(), len(pairs), matches, invalid, different)
	if matches < len(pairs)/10 || invalid > len(pairs)/2 {
		t.Errorf("the generator is out of balance: %d of %d match, %d are invalid", matches, len(pairs), invalid)
	}
}

func shrinkPair(p pair, bad func(pair) bool) pair {
	for {
		before := p
		p.Pattern = shrink(p.Pattern, func(s string) bool { return utf8.ValidString(s) && bad(pair{s, p.Image, p.Raw}) })
		p.Image = shrink(p.Image, func(s string) bool { return utf8.ValidString(s) && bad(pair{p.Pattern, s, p.Raw}) })
		if p == before {
			return p
		}
	}
}

var (
	labels = []string{"a", "b", "io", "reg", "dkr", "ecr", "us-east-1", "123456789012", "amazonaws", "com", "localhost", "REG", "xn--a", "-", "a_b", "é"}
	paths  = []string{"a", "b", "team", "team-a", "app", "library", "foo", "foobar", "a__b", "v2", "v1", "x.y"}
	oddish = []string{"*", "?", "[", "]", "[a-z]", "[!a]", "\\", "\\*", "@", ":", "::", "[::1]", "[::1]:5000", "//", "/", "#f", "?q=1", "%", "%2f", "%41", "%zz", " ", "\t", "\x7f", "..", ".", "https://", "http://", "é", "日本", "{a,b}", "~", "$", "&", "'", "\"", "|", "^", ";", "u@", "u:p@", "0", "65536", "**", "-", "_", "+", ",", "`", "\n", "\u2028", "@sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
)

// newPair makes an image, and a pattern that is the image's own name with some
// changes, so that about half of the pairs are close calls.
func newPair(r *rand.Rand) pair {
	host, path := newHost(r), newPath(r)
	image := host + "/" + path
	switch r.IntN(10) {
	case 0:
		image = path // of Docker Hub
	case 1:
		image += ":" + pick(r, "1", "v1.2.3", "latest", "Ä", "", "a-b_c.d")
	case 2:
		image += "@sha256:" + strings.Repeat(pick(r, "0a", "ff", "g1"), 32)
	}
	if !strings.Contains(image, "/") && chance(r, 50) {
		host, path = "docker.io", "library/"+path
	}
	p := pair{Image: image, Raw: chance(r, 15)}
	for chance(r, 5) {
		p.Image = insert(r, p.Image, pick(r, oddish...))
	}
	p.Pattern = patternFor(r, host, path)
	return p
}

func newHost(r *rand.Rand) string {
	n := pick(r, 1, 2, 2, 3, 3, 4, 6)
	parts := make([]string, n)
	for i := range parts {
		parts[i] = pick(r, labels...)
	}
	host := strings.Join(parts, ".")
	if n == 1 && chance(r, 70) {
		host = pick(r, "localhost", "127.0.0.1", "[::1]", "docker.io", "index.docker.io")
	}
	if chance(r, 25) {
		host += ":" + pick(r, "5000", "443", "80", "0", "65536", "")
	}
	return host
}

func newPath(r *rand.Rand) string {
	parts := make([]string, pick(r, 1, 1, 2, 3))
	for i := range parts {
		parts[i] = pick(r, paths...)
	}
	return strings.Join(parts, "/")
}

func patternFor(r *rand.Rand, host, path string) string {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i:]
	}
	parts := strings.Split(name, ".")
	for chance(r, 60) {
		i := r.IntN(len(parts))
		switch r.IntN(9) {
		case 0, 1, 2:
			parts[i] = "*"
		case 3:
			parts[i] = parts[i][:r.IntN(len(parts[i])+1)] + "*"
		case 4:
			parts[i] = "*" + parts[i][r.IntN(len(parts[i])+1):]
		case 5:
			parts[i] = insert(r, parts[i], pick(r, "*", "?", "[a-z]", "\\", "[", "**"))
		case 6:
			parts[i] = strings.ToUpper(parts[i])
		case 7:
			if len(parts) > 1 && chance(r, 40) {
				parts = append(parts[:i], parts[i+1:]...)
			}
		case 8:
			if chance(r, 30) {
				parts = append(parts, pick(r, labels...))
			}
		}
	}
	if chance(r, 8) {
		port = pick(r, "", ":5000", ":", ":*", ":443")
	}
	pattern := strings.Join(parts, ".") + port
	switch r.IntN(8) {
	case 0, 1, 2:
	case 3:
		pattern += "/" + path
	case 4:
		pattern += "/" + path[:r.IntN(len(path)+1)]
	case 5:
		pattern += "/"
	case 6:
		pattern += "/" + path + pick(r, "/", "/*", "*", "-x", ":1", "?", "%2f")
	case 7:
		pattern += "/" + newPath(r)
	}
	for chance(r, 8) {
		pattern = insert(r, pattern, pick(r, oddish...))
	}
	return strings.ToValidUTF8(pattern, "\ufffd")
}

// insert puts a piece in, at a boundary between characters.
func insert(r *rand.Rand, s, piece string) string {
	runes := []rune(s)
	i := r.IntN(len(runes) + 1)
	return string(runes[:i]) + piece + string(runes[i:])
}

func readVectors[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []T
	for i, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%s:%d: %v", name, i+1, err)
		}
		vectors = append(vectors, v)
	}
	return vectors
}

// keepVector appends a case to a file of vectors, which every run tries first.
func keepVector(t *testing.T, name string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s\n", data)
		f.Close()
	}
	if err != nil {
		t.Logf("could not keep the vector %s: %v", data, err)
		return
	}
	t.Logf("kept in %s", name)
}

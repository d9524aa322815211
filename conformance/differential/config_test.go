//go:build unix

package differential

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

// configVectors holds configs, files and folders, that differed once, and some
// that are easily got wrong.
const configVectors = "testdata/config"

type configQuestion struct {
	Path string `json:"path"`
}

type configVerdict struct {
	Refusal string `json:"refusal"`
}

// judgeConfig is what imagecred makes of a config: the words in which a kubelet
// refuses it, or "".
func judgeConfig(t *testing.T, path string) string {
	t.Helper()
	c, err := imagecred.Load(t.Context(), path, 0)
	if err != nil {
		return err.Error()
	}
	if (c.Refusal == "") != (len(c.Problems) == 0) {
		t.Errorf("%s: refusal %q and %d problems: %+v", path, c.Refusal, len(c.Problems), c.Problems)
	}
	return c.Refusal
}

// unsaid is what may differ in the words of a refusal: where the kubelet's scheme
// was made, which it finds out from the paths of its source files; the names of
// Go types; and the whole file, which may hold secrets.
var unsaid = regexp.MustCompile(`(?s) in scheme "[^"]*"| in '.*|Go struct field \w+\.| of type \S+`)

func words(refusal string) string { return unsaid.ReplaceAllString(refusal, "") }

func TestConfig(t *testing.T) {
	r := newRand(t)
	o := startOracle(t, "config")
	dir := t.TempDir()
	var questions []configQuestion
	vectors, err := os.ReadDir(configVectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		questions = append(questions, configQuestion{filepath.Join(configVectors, v.Name())})
	}
	for i := range *filesFlag {
		path := filepath.Join(dir, fmt.Sprint(i))
		if chance(r, 15) {
			writeConfigDir(t, r, path)
		} else {
			writeFile(t, path, newConfig(r))
		}
		questions = append(questions, configQuestion{path})
	}
	taken, verdicts, other := 0, 0, 0
	for i, want := range ask[configQuestion, configVerdict](o, questions...) {
		path := questions[i].Path
		got := judgeConfig(t, path)
		if want.Refusal == "" {
			taken++
		}
		if words(got) == words(want.Refusal) {
			continue
		}
		// Of another kind imagecred does not know what is wrong inside.
		if strings.HasSuffix(got, "(wrong Kind)") && want.Refusal != "" {
			continue
		}
		same := func(a, b string) bool { return (a == "") == (b == "") }
		if same(got, want.Refusal) {
			other++
			if other <= 5 {
				t.Errorf("%s: in other words\n ours    %s\n kubelet %s\n%s", path, got, want.Refusal, readPath(t, path))
			}
			continue
		}
		if verdicts++; verdicts > 5 {
			continue
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() || i < len(vectors) {
			t.Errorf("%s:\n ours    %q\n kubelet %q\n%s", path, got, want.Refusal, readPath(t, path))
			continue
		}
		try := filepath.Join(dir, "shrunk.yaml")
		small := shrink(readPath(t, path), func(s string) bool {
			writeFile(t, try, s)
			return !same(judgeConfig(t, try), ask[configQuestion, configVerdict](o, configQuestion{try})[0].Refusal)
		})
		writeFile(t, try, small)
		t.Errorf("%s:\n ours    %q\n kubelet %q\n%q", path, judgeConfig(t, try), ask[configQuestion, configVerdict](o, configQuestion{try})[0].Refusal, small)
		kept := filepath.Join(configVectors, fmt.Sprintf("found-%x.yaml", hash(small)))
		writeFile(t, kept, small)
		t.Logf("kept in %s", kept)
	}
	fmt.Printf("%s: %d configs, %d taken, %d other verdicts, %d other words\n", t.Name(), len(questions), taken, verdicts, other)
	if taken < len(questions)/5 || taken > len(questions)*4/5 {
		t.Errorf("the generator is out of balance: %d of %d are taken", taken, len(questions))
	}
}

func hash(s string) uint32 {
	h := uint32(2166136261)
	for _, b := range []byte(s) {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

func readPath(t *testing.T, path string) string {
	t.Helper()
	if data, err := os.ReadFile(path); err == nil {
		return string(data)
	}
	var all strings.Builder
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, _ := os.ReadFile(filepath.Join(path, e.Name()))
		fmt.Fprintf(&all, "--> %s\n%s\n", e.Name(), data)
	}
	return all.String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeConfigDir makes a folder of configs, some of which the kubelet skips.
func writeConfigDir(t *testing.T, r *rand.Rand, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range r.IntN(4) {
		name := pick(r, "a", "b", "00", ".hidden", "Z") + pick(r, ".yaml", ".yaml", ".json", ".yml", ".YAML", ".yaml.bak", "", ".conf")
		if chance(r, 5) {
			_ = os.MkdirAll(filepath.Join(dir, name), 0o700)
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			continue
		}
		writeFile(t, filepath.Join(dir, name), newConfig(r))
	}
}

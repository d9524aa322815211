package imagecred_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

// A config that is replaced while it is read is read as it was or as it is: the
// kubelet's own reading has no lock either, and who replaces it by a rename, as
// every tool for nodes does, is never read in between.
func TestLoadWhileReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be replaced there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	configs := [2]string{head, head}
	for i := range 400 {
		configs[0] += fmt.Sprintf("- name: old%d\n  matchImages: [reg.io]\n  defaultCacheDuration: 10m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", i)
		if i < 3 {
			configs[1] += fmt.Sprintf("- name: new%d\n  matchImages: [reg.io]\n  defaultCacheDuration: 10m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", i)
		}
	}
	replace := func(i int) error {
		part := filepath.Join(dir, ".part")
		if err := os.WriteFile(part, []byte(configs[i%2]), 0o600); err != nil {
			return err
		}
		return os.Rename(part, path)
	}
	if err := replace(0); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := replace(i); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	for range 40 {
		c, err := imagecred.Load(t.Context(), path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(c.Providers); len(c.Problems) > 0 || n != 3 && n != 400 {
			t.Fatalf("%d providers, %v", n, c.Problems)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// FuzzReadDockerConfig: nothing in an error is of the content.
func FuzzReadDockerConfig(f *testing.F) {
	for _, text := range []string{"", "{}", `{"auths":{"reg.io":{"auth":"dTpw"}}}`, `{"reg.io":{"username":"u"}}`, "kind: Secret\ntype: kubernetes.io/dockercfg\nstringData: {.dockercfg: '{}'}\n", `{"auths":5,"credHelpers":{}}`, "kind: Secret\ndata: {x: '!'}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := imagecred.ReadDockerConfig("file", data)
		if err == nil && d.Broken == "" && d.Logins == nil {
			t.Error("neither logins nor an error")
		}
		again, err2 := imagecred.ReadDockerConfig("file", data)
		if (err == nil) != (err2 == nil) || len(again.Logins) != len(d.Logins) {
			t.Error("two readings of the same differ")
		}
	})
}

// FuzzProbe: whatever a config holds, what image lint would ask its plugins about
// is an image, and nothing panics on the way.
func FuzzProbe(f *testing.F) {
	for _, pattern := range []string{"reg.io", "*.io", "reg.io/*", "https://reg.io", "*.dkr.ecr.*.amazonaws.com", "[::1]", "reg.io:5000/team", "", "*", "a..b", "%41.io"} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		c := imagecred.Parse("f", fmt.Appendf(nil, "%s- name: none\n  matchImages: [%q]\n  defaultCacheDuration: 10m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", head, pattern), 0)
		h := imagecred.Host{Config: c, BinDir: filepath.Join(t.TempDir(), "none")}
		found, err := h.Probe(t.Context(), nil, imagecred.Pod{})
		if err != nil || len(found) > 1 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

package imagecred

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files below a new directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindKubelet(t *testing.T) {
	cmdline := func(args ...string) string { return strings.Join(args, "\x00") + "\x00" }
	tests := []struct {
		name                   string
		files                  map[string]string
		source, config, binDir string // without the root
		running                bool
	}{
		{name: "nothing"},
		{name: "process", running: true, source: "process 42", config: "/etc/c.yaml", binDir: "/opt/bin", files: map[string]string{
			"proc/7/cmdline":   cmdline("/usr/bin/kubelet-wrapper", "--image-credential-provider-config=/no"),
			"proc/42/cmdline":  cmdline("/usr/bin/kubelet", "--v=2", "--image-credential-provider-config=/old.yaml", "--image_credential_provider_config", "/etc/c.yaml", "--image-credential-provider-bin-dir=/opt/bin"),
			"proc/self/status": "",
		}},
		{name: "process without", running: true, source: "process 1", files: map[string]string{"proc/1/cmdline": cmdline("kubelet", "--config=/x")}},
		{name: "k3s", running: true, source: "process 5", config: "/c", binDir: "/b", files: map[string]string{
			"proc/5/cmdline": cmdline("/usr/local/bin/k3s", "server", "--kubelet-arg=image-credential-provider-config=/c", "--kubelet-arg", "image-credential-provider-bin-dir=/b"),
		}},
		{name: "unit with drop-in", source: "/etc/systemd/system/kubelet.service.d/10-x.conf", config: "/etc/a b.yaml", binDir: "/opt/p", files: map[string]string{
			"usr/lib/systemd/system/kubelet.service":               "[Service]\nExecStart=/usr/bin/kubelet\n",
			"usr/lib/systemd/system/kubelet.service.d/10-x.conf":   "[Service]\nExecStart=/usr/bin/kubelet --image-credential-provider-config=/wrong\n",
			"etc/systemd/system/kubelet.service.d/10-x.conf":       "[Service]\nEnvironment=\"ARGS=--v=2 --image-credential-provider-bin-dir=/opt/p\"\nEnvironmentFile=-/etc/default/kubelet\nExecStart=\nExecStart=/usr/bin/kubelet $ARGS \\\n  $KUBELET_EXTRA_ARGS\n",
			"etc/systemd/system/kubelet.service.d/20-ignored.conf": "# nothing\n",
			"etc/default/kubelet":                                  "KUBELET_EXTRA_ARGS=\"--image-credential-provider-config='/etc/a b.yaml'\"\n",
		}},
		{name: "kubeadm's file alone", source: "/var/lib/kubelet/kubeadm-flags.env", config: "/c", binDir: "/b", files: map[string]string{
			"var/lib/kubelet/kubeadm-flags.env": `KUBELET_KUBEADM_ARGS="--pod-infra-container-image=x --image-credential-provider-config=/c --image-credential-provider-bin-dir=/b"` + "\n",
		}},
		{name: "EKS", source: "/etc/eks/image-credential-provider/config.json (EKS)", config: "/etc/eks/image-credential-provider/config.json", binDir: "/etc/eks/image-credential-provider", files: map[string]string{
			"etc/eks/image-credential-provider/config.json": "{}",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, tt.files)
			k, ok := FindKubelet(root)
			if ok != (tt.source != "") {
				t.Fatalf("found %v, %+v", ok, k)
			}
			cut := func(p string) string { return filepath.ToSlash(strings.TrimPrefix(p, root)) }
			want := func(p string) string { return filepath.ToSlash(p) }
			if filepath.ToSlash(k.Source) != tt.source || k.Running != tt.running || cut(k.Config) != want(tt.config) || cut(k.BinDir) != want(tt.binDir) {
				t.Errorf("%+v", k)
			}
		})
	}
}

func TestKubeletLint(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/9/cmdline":              "kubelet\x00--image-credential-provider-config=/c.yaml\x00",
		"root/.docker/config.json":    "{\n \"auths\": {\"x\": {\"auth\": \"c2VjcmV0\"}},\n \"credHelpers\": {\"y\": \"ecr-login\"}\n}",
		"var/lib/kubelet/config.json": `{"auths":{}}`,
	})
	k, ok := FindKubelet(root)
	if !ok {
		t.Fatal("nothing found")
	}
	var got []string
	for _, f := range k.Lint() {
		got = append(got, f.Code+" "+string(f.Severity)+" "+f.Message)
		if f.Code == codeDockerConfig && f.Where.Line != 3 {
			t.Errorf("line %d, want 3", f.Where.Line)
		}
	}
	want := "KC247 error has --image-credential-provider-config and no --image-credential-provider-bin-dir: the kubelet does not start\n" +
		"KC245 warning names credHelpers, which the kubelet ignores: it reads auths alone"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestSplitWords(t *testing.T) {
	got := splitWords(`a "b c"  'd "e' f"g h"`)
	if want := `a|b c|d "e|fg h`; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

//go:build unix

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// hidden are folders that the kubelet or containerd writes to wherever it is
// told to keep its files. The node sees empty ones.
var hidden = []string{"/var/lib/kubelet", "/run", "/var/log"}

// sysctls are those that the kubelet sets when it starts
// (pkg/kubelet/cm/container_manager_linux.go); the node gets stand-ins.
var sysctls = []string{
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom",
	"/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes",
}

// NodeSupport says, in one line, what keeps this machine from running a node.
func NodeSupport() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("a node needs Linux, and this is %s", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("a node needs root: run as root, or leave the node's tests out")
	}
	var missing []string
	for program, pkg := range map[string]string{"containerd": "containerd", "ctr": "containerd", "runc": "runc", "docker-registry": "docker-registry"} {
		if _, err := findProgram(program, pkg); err != nil && !strings.Contains(strings.Join(missing, " "), pkg) {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("a node needs programs that are not installed: make e2e-deps, or apt-get install %s", strings.Join(missing, " "))
	}
	for _, dir := range hidden {
		if tmp, _ := filepath.EvalSymlinks(os.TempDir()); tmp == dir || strings.HasPrefix(tmp, dir+"/") {
			return fmt.Errorf("a node hides %s, and temporary files are below it: point TMPDIR elsewhere", dir)
		}
	}
	return tryKernel()
}

// findProgram finds a program of a Debian package.
func findProgram(program, pkg string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} { // not in everyone's PATH
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("lab: %s is not installed: make e2e-deps, or apt-get install %s", program, pkg)
}

func (n *Node) writeConfigs() error {
	for host, registry := range n.opts.Registries {
		dir := n.path("hosts", host)
		text := fmt.Sprintf("server = \"http://%[1]s\"\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", registry.Host)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o600); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	containerd := fmt.Sprintf(containerdConfig, n.path("containerd"), n.path("state"), n.path("containerd.sock"), PauseImage, n.path("hosts"))
	if err := os.WriteFile(n.path("containerd.toml"), []byte(containerd), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return writeJSON(n.path("kubelet.json"), n.kubeletConfig())
}

// containerdConfig is of containerd 1.6 and later (version 2). The "native"
// snapshotter copies files, which works on any file system, in containers too;
// the "opt" plugin would make a folder in /opt.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = %[3]q
[ttrpc]
  address = "%[3]s.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = %[5]q
`

func (n *Node) kubeletConfig() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": "127.0.0.1", "port": n.port, "readOnlyPort": 0, "healthzPort": 0,
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": true},
			"webhook":   map[string]any{"enabled": false},
		},
		"authorization":            map[string]any{"mode": "AlwaysAllow"},
		"containerRuntimeEndpoint": "unix://" + n.path("containerd.sock"),
		// Control groups of its own, of either version, without systemd.
		"failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false,
		"enforceNodeAllocatable": []string{},
		// Nothing of the machine's network, disks or memory is its business.
		"makeIPTablesUtilChains": false, "localStorageCapacityIsolation": false, "failSwapOn": false,
		"evictionHard":                map[string]string{"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
		"registerNode":  n.opts.Joined,
		"staticPodPath": n.path("manifests"), "fileCheckFrequency": "1s", "syncFrequency": "1s",
		"nodeStatusUpdateFrequency": "2s",
	}
}

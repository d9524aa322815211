package imagecred

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kubelet is what a node says of its kubelet's credential providers.
type Kubelet struct {
	// Source is where that was read: a process, a unit, a file of flags, or a
	// place where a distribution puts the config.
	Source string
	// Running says that Source is the kubelet's own process.
	Running bool
	// Config and BinDir are the values of --image-credential-provider-config and
	// --image-credential-provider-bin-dir, as paths that can be opened here.
	Config, BinDir string
	// RootDir is --root-dir, where the kubelet looks for a docker config first.
	RootDir string
	// Home is the directory below which all paths of the kubelet are, "" for /.
	Home string
}

// The flags of the kubelet that matter here.
const (
	flagConfig  = "image-credential-provider-config"
	flagBinDir  = "image-credential-provider-bin-dir"
	flagRootDir = "root-dir"
)

const defaultRootDir = "/var/lib/kubelet"

// maxNodeFile bounds a file of the node that is read for flags.
const maxNodeFile = 1 << 20

// usualPlaces are where distributions put the config and the plugins.
var usualPlaces = []struct{ who, config, binDir string }{
	{"EKS", "/etc/eks/image-credential-provider/config.json", "/etc/eks/image-credential-provider"},
	{"AKS", "/var/lib/kubelet/credential-provider-config.yaml", "/var/lib/kubelet/credential-provider"},
	{"GKE", "/etc/srv/kubernetes/cri_auth_config.yaml", "/home/kubernetes/bin"},
	{"k3s and RKE2", "/var/lib/rancher/credentialprovider/config.yaml", "/var/lib/rancher/credentialprovider/bin"},
	{"kubeadm", "/etc/kubernetes/credential-provider-config.yaml", "/etc/kubernetes/credential-provider"},
}

// FindKubelet looks for a kubelet on this machine, or on the one whose file
// system is below root: first its process, then what would start it, then the
// usual places. It only reads. ok is false where nothing is found.
func FindKubelet(root string) (k Kubelet, ok bool) {
	if k, ok := kubeletProcess(root); ok {
		return k, true
	}
	if k, ok := kubeletUnit(root); ok {
		return k, true
	}
	for _, place := range usualPlaces {
		if info, err := os.Stat(filepath.Join(root, place.config)); err == nil && info.Mode().IsRegular() {
			k := Kubelet{Source: place.config + " (" + place.who + ")", Config: place.config, RootDir: defaultRootDir, Home: root}
			if _, err := os.Stat(filepath.Join(root, place.binDir)); err == nil {
				k.BinDir = place.binDir
			}
			return k.below(root), true
		}
	}
	return Kubelet{}, false
}

// below makes the paths of a kubelet such that they can be opened from here.
func (k Kubelet) below(root string) Kubelet {
	if root == "" || root == "/" {
		return k
	}
	k.Home = root
	for _, p := range []*string{&k.Config, &k.BinDir, &k.RootDir} {
		if *p != "" {
			*p = filepath.Join(root, *p)
		}
	}
	return k
}

// fromArgs reads the flags of a command line; ok is false for one that is no
// kubelet's.
func fromArgs(args []string) (k Kubelet, ok bool) {
	if len(args) == 0 {
		return k, false
	}
	switch base := filepath.Base(args[0]); {
	case base == "kubelet":
	case base == "hyperkube" && len(args) > 1 && strings.TrimPrefix(args[1], "--") == "kubelet":
	case (base == "k3s" || base == "rke2") && len(args) > 1 && (args[1] == "server" || args[1] == "agent"):
	default:
		return k, false
	}
	return kubeletFlags(args[1:]), true
}

// kubeletFlags reads flags as the kubelet does: the last one counts, and _ is -.
func kubeletFlags(args []string) Kubelet {
	k := Kubelet{RootDir: defaultRootDir}
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		name, isFlag := strings.CutPrefix(name, "--")
		if !isFlag {
			continue
		}
		if name == "kubelet-arg" { // k3s hands these on
			if !hasValue && i+1 < len(args) {
				value = args[i+1]
			}
			name, value, _ = strings.Cut(strings.TrimPrefix(value, "--"), "=")
			hasValue = true
		}
		var target *string
		switch strings.ReplaceAll(name, "_", "-") {
		case flagConfig:
			target = &k.Config
		case flagBinDir:
			target = &k.BinDir
		case flagRootDir:
			target = &k.RootDir
		default:
			continue
		}
		if !hasValue && i+1 < len(args) {
			i++
			value = args[i]
		}
		*target = value
	}
	return k
}

// kubeletProcess finds a running kubelet in /proc.
func kubeletProcess(root string) (Kubelet, bool) {
	proc := filepath.Join(root, "/proc")
	entries, err := os.ReadDir(proc)
	if err != nil {
		return Kubelet{}, false
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		data, err := readSmall(filepath.Join(dir, "cmdline"))
		if err != nil || len(data) == 0 {
			continue
		}
		k, ok := fromArgs(strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"))
		if !ok {
			continue
		}
		k.Source, k.Running = "process "+strconv.Itoa(pid), true
		if cwd, err := os.Readlink(filepath.Join(dir, "cwd")); err == nil {
			for _, p := range []*string{&k.Config, &k.BinDir} {
				if *p != "" && !filepath.IsAbs(*p) {
					*p = filepath.Join(cwd, *p)
				}
			}
		}
		// A kubelet in a container, as kind runs them, has files of its own.
		own, err1 := os.Readlink(filepath.Join(proc, "self/ns/mnt"))
		its, err2 := os.Readlink(filepath.Join(dir, "ns/mnt"))
		if err1 == nil && err2 == nil && own != its {
			return k.below(filepath.Join(dir, "root")), true
		}
		return k.below(root), true
	}
	return Kubelet{}, false
}

// readSmall reads a regular file of the node, or says why not.
func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxNodeFile+1))
	if err == nil && len(data) > maxNodeFile {
		return nil, errors.New("is too large")
	}
	return data, err
}

// lineOf finds the first line of data that holds what, counted from 1; 0 for none.
func lineOf(data []byte, what string) int {
	at := bytes.Index(data, []byte(what))
	if at < 0 {
		return 0
	}
	return bytes.Count(data[:at], []byte("\n")) + 1
}

//go:build unix

package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/nodespec"
)

// NodeOptions say what a node is to be like.
type NodeOptions struct {
	// Joined registers the node with the lab's API server, which service
	// account tokens for image pulls need. Otherwise the kubelet stands alone
	// and runs what is in its manifest folder.
	Joined bool
	// ImageConfig is the kubelet's --image-credential-provider-config, a file or
	// a folder, and BinDir its --image-credential-provider-bin-dir. Both or none.
	ImageConfig, BinDir string
	// Registries gives registries another host name on this node, as a
	// containerd mirror: {"registry.example": r}.
	Registries map[string]*Registry
	// Audiences are those that the kubelet may ask service account tokens for.
	Audiences []string
	// Images are on the node from the start: {"kubecred.lab/x:1": image}.
	Images map[string]Image
	// Folders are seen on the node at other places: {"/etc/kubernetes": dir}. What
	// is not there on the machine is made, and removed with the node.
	Folders map[string]string
}

// Image has a program for its only file, and its entry point, a user or root
// (""), and variables ("NAME=value") in its environment.
type Image struct {
	Program, User string
	Env           []string
}

// Node is a real kubelet over a real containerd, in mount and process namespaces
// of its own.
type Node struct {
	// Name is the node's.
	Name string
	// Dir holds everything of the node, KubeletLog among it.
	Dir, KubeletLog string

	lab     *Lab
	opts    NodeOptions
	process *process
	port    int
	pods    int
	images  []string // archives
	made    []string // folders of the machine, to be removed
}

// Node starts a node and returns when its kubelet answers. It needs what
// [NodeSupport] checks. A kubelet that refuses its configuration is an error
// which holds the kubelet's own words.
func (l *Lab) Node(ctx context.Context, opts NodeOptions) (*Node, error) {
	if err := NodeSupport(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.Dir, "node-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	n := &Node{Name: filepath.Base(dir), Dir: dir, KubeletLog: l.Path("logs", filepath.Base(dir)+"-kubelet.log"), lab: l, opts: opts}
	for _, sub := range []string{"manifests", "kubelet", "containerd", "state", "sysctl", "hosts"} {
		if err := os.Mkdir(n.path(sub), 0o755); err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
	}
	if err := l.writePause(ctx, n.path("pause.tar")); err != nil {
		return nil, err
	}
	for named, i := range opts.Images {
		image, err := imageOf(i.Program, i.User, i.Env...)
		if err == nil {
			err = writeImage(n.path(fmt.Sprintf("image-%d.tar", len(n.images))), named, image)
		}
		if err != nil {
			return nil, err
		}
		n.images = append(n.images, n.path(fmt.Sprintf("image-%d.tar", len(n.images))))
	}
	if opts.Joined {
		if err := n.join(ctx); err != nil {
			return nil, err
		}
	}
	return n, withFreePorts(func() error { return n.start(ctx) })
}

func (n *Node) path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

func (n *Node) start(ctx context.Context) error {
	kubelet, err := n.lab.Program(ctx, "kubelet")
	if err != nil {
		return err
	}
	initProgram, err := n.lab.tool(ctx, "nodeinit")
	if err != nil {
		return err
	}
	if n.port, err = freePort(); err != nil {
		return err
	}
	if err := n.writeConfigs(); err != nil {
		return err
	}
	socket := n.path("containerd.sock")
	for _, former := range []string{socket, n.KubeletLog} { // of a start whose port was taken
		if err := os.Remove(former); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("lab: %w", err)
		}
	}
	args := []string{kubelet,
		"--config", n.path("kubelet.json"),
		"--root-dir", n.path("kubelet"), "--cert-dir", n.path("kubelet", "pki"),
		"--hostname-override", n.Name, "--node-ip", "127.0.0.1", "--v", "2",
	}
	if n.opts.Joined {
		args = append(args, "--kubeconfig", n.path("kubeconfig"))
	}
	if n.opts.ImageConfig != "" {
		args = append(args, "--image-credential-provider-config", n.opts.ImageConfig, "--image-credential-provider-bin-dir", n.opts.BinDir)
	}
	log := func(what string) string { return n.lab.Path("logs", n.Name+"-"+what+".log") }
	spec := nodespec.Spec{
		Tmpfs:   hidden,
		Binds:   n.opts.Folders,
		Sysctls: sysctls,
		Dir:     n.path("sysctl"),
		Programs: []nodespec.Program{
			{Args: []string{"containerd", "--config", n.path("containerd.toml")}, Log: log("containerd"), Ready: socket},
		},
	}
	for _, archive := range append([]string{n.path("pause.tar")}, n.images...) {
		spec.Programs = append(spec.Programs, nodespec.Program{Args: []string{"ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", archive}, Log: log("ctr"), Once: true})
	}
	spec.Programs = append(spec.Programs, nodespec.Program{Args: args, Log: n.KubeletLog, Restart: n.path("restart")})
	for folder := range n.opts.Folders {
		if err := n.makeFolder(folder); err != nil {
			return err
		}
	}
	if err := writeJSON(n.path("spec.json"), spec); err != nil {
		return err
	}
	began := time.Now()
	if n.process, err = n.lab.runGuarded(n.Name, "-namespaces", initProgram, n.path("spec.json")); err != nil {
		return err
	}
	n.lab.own(n)
	err = n.process.waitFor(ctx, time.Minute, func(ctx context.Context) error {
		return get(ctx, n.client(), n.url("/healthz"))
	})
	if err == nil && n.opts.Joined {
		err = n.process.waitFor(ctx, time.Minute, func(ctx context.Context) error {
			_, err := n.lab.Admin.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
			return err
		})
	}
	if err != nil {
		err = n.explain(err)
		return errors.Join(err, n.Stop())
	}
	fmt.Fprintf(n.lab.log, "lab: %s is up after %.1f s\n", n.Name, time.Since(began).Seconds())
	return nil
}

// explain adds the kubelet's own last words to the error of a node that did not
// come up.
func (n *Node) explain(err error) error {
	data, _ := os.ReadFile(n.KubeletLog)
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		// klog starts a line with the severity, and the kubelet's main function
		// prints its error in full.
		if line := string(lines[i]); strings.HasPrefix(line, "E") || strings.HasPrefix(line, "F") || strings.HasPrefix(line, "Error:") {
			if strings.Contains(line, "address already in use") {
				return fmt.Errorf("lab: kubelet: %w: %s", errPortTaken, line)
			}
			return fmt.Errorf("lab: the kubelet of %s did not start: %s (whole log: %s)", n.Name, line, n.KubeletLog)
		}
	}
	return err
}

// Stop ends the node and removes its control groups.
func (n *Node) Stop() error {
	n.lab.disown(n)
	return n.stop()
}

func (n *Node) stop() error {
	n.lab.disown(n.process)
	err := errors.Join(n.process.stop(), removeCgroups(n.Dir))
	for _, dir := range slices.Backward(n.made) {
		_ = os.Remove(dir) // stays where somebody else has put something into it
	}
	return err
}

// makeFolder makes a folder of the machine on which the node mounts its own.
func (n *Node) makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := n.makeFolder(filepath.Dir(dir)); err != nil {
			return err
		}
		return n.makeFolder(dir)
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("lab: %w", err)
	}
	n.made = append(n.made, dir)
	return nil
}

func (n *Node) url(path string) string {
	return "https://127.0.0.1:" + strconv.Itoa(n.port) + path
}

// client talks to the kubelet, whose certificate it made itself, on loopback.
func (n *Node) client() *http.Client {
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
}

// Pods asks the kubelet for the pods that it runs.
func (n *Node) Pods(ctx context.Context) ([]corev1.Pod, error) {
	data, err := n.get(ctx, "/pods")
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("lab: kubelet of %s: /pods: %w", n.Name, err)
	}
	return list.Items, nil
}

// Log asks the kubelet for what a container has said.
func (n *Node) Log(ctx context.Context, namespace, pod, container string) (string, error) {
	data, err := n.get(ctx, "/containerLogs/"+namespace+"/"+pod+"/"+container)
	return string(data), err
}

func (n *Node) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url(path), nil)
	if err != nil {
		return nil, err
	}
	res, err := n.client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("lab: kubelet of %s: %w", n.Name, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if res.StatusCode != http.StatusOK || err != nil {
		return nil, errors.Join(fmt.Errorf("lab: kubelet of %s: %s: %s", n.Name, path, res.Status), err)
	}
	return data, nil
}

// join gives the node an identity that the API server knows.
func (n *Node) join(ctx context.Context) error {
	certPEM, keyPEM, err := n.lab.UserCertificate("system:node:"+n.Name, "system:nodes")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	file, err := n.lab.Kubeconfig(n.Name, &clientcmdapi.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM})
	if err != nil {
		return err
	}
	if err := os.Rename(file, n.path("kubeconfig")); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, audience := range n.opts.Audiences {
		if err := n.lab.AllowAudience(ctx, audience); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

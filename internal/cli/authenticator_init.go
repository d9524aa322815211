package cli

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/authenticator"
)

//go:embed manifests/daemonset.yaml
var daemonSetManifest string

//go:embed manifests/static-pod.yaml
var staticPodManifest string

//go:embed manifests/rbac.yaml
var rbacManifest string

type initOptions struct {
	dir      string
	clusters []string
	address  string
	hostname string
	image    string
	sources  []string
	config   string
	force    bool
}

func (a *app) authenticatorInitCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init --cluster-id ID --dir DIR",
		Short: "Write a certificate, the webhook kubeconfig and manifests for the webhook",
		Long: `Write what a cluster needs to run the webhook: a self-signed certificate with its
key, the webhook kubeconfig for the API server, and manifests for a DaemonSet on
the control-plane nodes and, instead of it, a static pod.

A certificate that is there is kept, so the command may be run again. Manifests
that were changed by hand are not overwritten without --force.`,
		Example: `  kubecred authenticator init --cluster-id prod --dir ./authenticator --image registry.example.com/kubecred:1.0`,
		Args:    noArguments(""),
		RunE: func(_ *cobra.Command, _ []string) error {
			return a.initAuthenticator(&o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "directory to write to")
	f.StringArrayVarP(&o.clusters, "cluster-id", "i", nil, "name or id of the cluster that tokens are made for (repeat while the cluster is renamed)")
	f.StringVar(&o.address, "address", "127.0.0.1:21362", "HOST:PORT that the webhook will listen on")
	f.StringVar(&o.hostname, "hostname", "", "name by which the API server reaches the webhook, where it is another than the address")
	f.StringVar(&o.image, "image", "", "container image of kubecred for the manifests")
	f.StringArrayVar(&o.sources, "mapping", []string{"configmap://kube-system/aws-auth"}, "sources of mappings for the manifests (repeat for more)")
	f.StringVar(&o.config, "config", "", "path on the nodes of a config file of aws-iam-authenticator's server")
	f.BoolVar(&o.force, "force", false, "overwrite files that were changed")
	return cmd
}

// written is one file of init.
type written struct {
	name string
	data []byte
	mode os.FileMode
}

func (a *app) initAuthenticator(o *initOptions) error {
	host, port, err := net.SplitHostPort(o.address)
	if err != nil {
		return fmt.Errorf("--address %q: give HOST:PORT such as 127.0.0.1:21362", o.address)
	}
	if len(o.clusters) == 0 {
		return errors.New("no cluster id: name the cluster that tokens are made for with --cluster-id")
	}
	for _, s := range append(append([]string{o.image, o.config, o.hostname}, o.clusters...), o.sources...) {
		if strings.ContainsAny(s, "\"'\\\n\r\t{}") {
			return fmt.Errorf("%q: quotes, braces and line ends can not stand in a manifest's argument", s)
		}
	}
	cert, key := filepath.Join(o.dir, "cert.pem"), filepath.Join(o.dir, "key.pem")
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	made, err := authenticator.MakeCertificate(cert, key, unique("localhost", "127.0.0.1", "::1", host, o.hostname), a.Now())
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(cert)
	if err != nil {
		return err
	}
	files := []written{{"kubeconfig.yaml", authenticator.WebhookKubeconfig(net.JoinHostPort(first(o.hostname, host), port), ca), 0o644}}
	for _, m := range []struct{ name, text string }{
		{"rbac.yaml", rbacManifest}, {"daemonset.yaml", daemonSetManifest}, {"static-pod.yaml", staticPodManifest},
	} {
		data, err := manifest(m.text, o, port)
		if err != nil {
			return err
		}
		files = append(files, written{m.name, data, 0o644})
	}
	if err := writeAll(o, files); err != nil {
		return err
	}
	if made {
		fmt.Fprintf(a.Stdout, "wrote   %s and %s\n", cert, key)
	} else {
		fmt.Fprintf(a.Stdout, "kept    %s and %s\n", cert, key)
	}
	for _, f := range files {
		fmt.Fprintf(a.Stdout, "wrote   %s\n", filepath.Join(o.dir, f.name))
	}
	fmt.Fprintf(a.Stdout, `
next    copy cert.pem and key.pem to /var/kubecred-authenticator, and kubeconfig.yaml
        to /etc/kubernetes/kubecred-authenticator, on each control-plane node
        for the DaemonSet let its user read the key: chown -R 65532 /var/kubecred-authenticator
        kubectl apply -f %s -f %s
        give kube-apiserver --authentication-token-webhook-config-file=/etc/kubernetes/kubecred-authenticator/kubeconfig.yaml
        and --authentication-token-webhook-version=v1
`, filepath.Join(o.dir, "rbac.yaml"), filepath.Join(o.dir, "daemonset.yaml"))
	if o.image == "" {
		fmt.Fprintln(a.Stderr, "the manifests name no image yet: put one in place of IMAGE, or run this again with --image")
	}
	return nil
}

func unique(values ...string) []string {
	var out []string
	for _, v := range values {
		if v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// manifest fills in a template.
func manifest(text string, o *initOptions, port string) ([]byte, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var args []string
	for _, c := range o.clusters {
		args = append(args, "--cluster-id="+c)
	}
	if o.config != "" {
		args = append(args, "--config="+o.config)
	}
	for _, s := range o.sources {
		args = append(args, "--mapping="+s)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Image": first(o.image, "IMAGE"), "Args": args, "Address": o.address, "Port": port, "Config": o.config})
	return b.Bytes(), err
}

// writeAll writes all files or, where one was changed by hand, none.
func writeAll(o *initOptions, files []written) error {
	var changed []string
	for _, f := range files {
		old, err := os.ReadFile(filepath.Join(o.dir, f.name))
		if err == nil && !bytes.Equal(old, f.data) {
			changed = append(changed, f.name)
		}
	}
	if len(changed) > 0 && !o.force {
		return fmt.Errorf("%s in %s: there with other content, and nothing was written over it (--force does)", strings.Join(changed, ", "), o.dir)
	}
	for _, f := range files {
		if err := authenticator.WriteFile(filepath.Join(o.dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

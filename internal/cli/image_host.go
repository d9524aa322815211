package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/imagecred"
)

// imageHostOptions are the flags that say on whose behalf an image is pulled.
type imageHostOptions struct {
	binDir       string
	pullSecrets  []string
	dockerConfig string
	account      string
	accountUID   string
	annotations  []string
	tokenFile    string
	imageClusterOptions
}

func (o *imageHostOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.binDir, "bin-dir", "", "directory of the plugins (the kubelet's --image-credential-provider-bin-dir)")
	f.StringArrayVar(&o.pullSecrets, "pull-secret", nil, "an imagePullSecret of the pod: a Secret's manifest or a docker config; may be repeated")
	f.StringVar(&o.dockerConfig, "docker-config", "", "the node's docker config, such as /var/lib/kubelet/config.json")
	o.registerAccount(cmd)
	o.imageClusterOptions.register(cmd)
	f.StringVar(&o.podName, "pod", "", "NAMESPACE/NAME of a pod in the cluster: its imagePullSecrets, its service account and that one's tokens")
}

// registerAccount are the flags for the pod's service account alone.
func (o *imageHostOptions) registerAccount(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.account, "service-account", "", "NAMESPACE/NAME of the pod's service account (default: none, as for a static pod)")
	f.StringVar(&o.accountUID, "service-account-uid", "", "the account's uid, which is part of the cache key")
	f.StringArrayVar(&o.annotations, "annotation", nil, "KEY=VALUE on the service account; may be repeated")
	f.StringVar(&o.tokenFile, "service-account-token", "", "file with a token of the account for the provider's audience (kubectl create token)")
}

// pod reads the files that the flags name, and the pod or the account of the
// cluster. images are those of the pod that --pod names.
func (a *app) imagePod(ctx context.Context, o *imageHostOptions) (pod imagecred.Pod, images []string, err error) {
	pod = imagecred.Pod{Namespace: "default", Name: "kubecred", ServiceAccountUID: o.accountUID, Annotations: map[string]string{}}
	for _, name := range o.pullSecrets {
		d, err := readDockerConfig("imagePullSecret "+name, name)
		if err != nil {
			return pod, nil, fmt.Errorf("--pull-secret %s: %w", name, err)
		}
		pod.Secrets = append(pod.Secrets, d)
	}
	if o.dockerConfig != "" {
		d, err := readDockerConfig("docker config of the node", o.dockerConfig)
		if err != nil {
			return pod, nil, fmt.Errorf("--docker-config %s: %w", o.dockerConfig, err)
		}
		if len(d.Ignored) > 0 {
			a.remark(fmt.Sprintf("%s: the kubelet ignores %s; it reads auths alone", o.dockerConfig, strings.Join(d.Ignored, " and ")))
		}
		pod.NodeConfig = &d
	}
	if o.account != "" {
		if pod.Namespace, pod.ServiceAccount, err = namespacedName("--service-account", o.account); err != nil {
			return pod, nil, err
		}
	}
	if o.cluster || o.podName != "" {
		if images, err = a.clusterPod(ctx, o, &pod); err != nil {
			return pod, nil, err
		}
	}
	for _, a := range o.annotations {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return pod, nil, fmt.Errorf("--annotation %q: write KEY=VALUE", a)
		}
		pod.Annotations[key] = value
	}
	if o.tokenFile != "" {
		err = o.readToken(&pod)
		return pod, images, err
	}
	if pod.Token == nil {
		pod.Token = func(_ context.Context, audience string) (imagecred.Secret, error) {
			return "", fmt.Errorf("%w: give one with --service-account-token, from kubectl -n %s create token %s --audience %s, or --cluster", imagecred.ErrNoToken, pod.Namespace, pod.ServiceAccount, audience)
		}
	}
	return pod, images, nil
}

// readToken reads the token that a flag names.
func (o *imageHostOptions) readToken(pod *imagecred.Pod) error {
	if pod.ServiceAccount == "" {
		return errors.New("--service-account-token needs --service-account NAMESPACE/NAME")
	}
	data, err := readBounded(o.tokenFile, 1<<20)
	if err != nil {
		return fmt.Errorf("--service-account-token %s: %w", o.tokenFile, err)
	}
	token := strings.TrimSpace(string(data))
	pod.Token = func(context.Context, string) (imagecred.Secret, error) { return imagecred.Secret(token), nil }
	return nil
}

// remark says something beside the answer.
func (a *app) remark(s string) { fmt.Fprintln(a.Stderr, "kubecred: "+oneLine(s)) }

func namespacedName(flag, s string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%s %q: write NAMESPACE/NAME", flag, s)
	}
	return namespace, name, nil
}

func readDockerConfig(source, name string) (imagecred.DockerConfig, error) {
	data, err := readBounded(name, 10<<20)
	if err != nil {
		return imagecred.DockerConfig{}, err
	}
	return imagecred.ReadDockerConfig(source, data)
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return nil, path.Err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("is larger than %d MiB", limit>>20)
	}
	return os.ReadFile(name)
}

// imageHosts makes a host for each config.
func (a *app) imageHosts(configs []*imagecred.Config, o *imageHostOptions, version imagecred.Version) ([]*imagecred.Host, error) {
	if o.binDir == "" {
		return nil, errors.New("--run needs --bin-dir, the kubelet's --image-credential-provider-bin-dir")
	}
	if info, err := os.Stat(o.binDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--bin-dir %s: no such directory, and a kubelet does not start without it", o.binDir)
	}
	var out []*imagecred.Host
	for _, c := range configs {
		out = append(out, &imagecred.Host{Config: c, BinDir: o.binDir, Env: os.Environ(), Version: version, Now: a.Now})
	}
	return out, nil
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/imagecred"
	"github.com/kubecred/kubecred/internal/cluster"
)

// imageClusterOptions are the flags that say of which cluster a node is.
type imageClusterOptions struct {
	cluster bool
	podName string
	// anyNode takes tokens whatever a node may have.
	anyNode bool
	clusterOptions
}

func (o *imageClusterOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.cluster, "cluster", false, "ask the cluster, too: for the service account with its imagePullSecrets and tokens, and for the nodes' right to those")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file` for --cluster; default $KUBECONFIG, then ~/.kube/config")
	f.StringVar(&o.context, "context", "", "the kubeconfig's `context` to use")
}

// clusterPod fills in what the kubelet would know of the pod, or of a new pod of
// the account, from the cluster. It returns the pod's images.
func (a *app) clusterPod(ctx context.Context, o *imageHostOptions, pod *imagecred.Pod) ([]string, error) {
	client, err := a.connect(o.clusterOptions)
	if err != nil {
		return nil, err
	}
	var live cluster.ImagePod
	switch {
	case o.podName != "" && o.account != "":
		return nil, errors.New("--pod and --service-account: a pod has an account of its own, so give one of them")
	case o.podName != "":
		namespace, name, err := namespacedName("--pod", o.podName)
		if err != nil {
			return nil, err
		}
		live, err = client.ImagePod(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
	default:
		if live, err = client.ImageAccount(ctx, pod.Namespace, pod.ServiceAccount); err != nil {
			return nil, err
		}
	}
	pod.Namespace, pod.ServiceAccount = live.Namespace, live.Account
	pod.ServiceAccountUID = live.AccountUID
	if live.Name != "" {
		pod.Name, pod.UID = live.Name, live.UID
	}
	for k, v := range live.Annotations {
		pod.Annotations[k] = v
	}
	for _, s := range live.Secrets {
		source := "imagePullSecret " + s.Name
		if s.Missing {
			a.remark(fmt.Sprintf("%s: there is none in namespace %s, and the kubelet goes on without it", source, live.Namespace))
			continue
		}
		d, err := imagecred.PullSecret(source, s.Type, s.Data)
		if err != nil {
			a.remark(source + ": " + err.Error())
			continue
		}
		pod.Secrets = append(pod.Secrets, d)
	}
	pod.Token = func(ctx context.Context, audience string) (imagecred.Secret, error) {
		if !o.anyNode {
			err := client.MayGetToken(ctx, live, audience)
			var denied *cluster.AudienceError
			if errors.As(err, &denied) {
				return "", fmt.Errorf("failed to fetch token: %w", denied) // as the kubelet says it
			}
			if err != nil {
				return "", fmt.Errorf("%w: %w", imagecred.ErrNoToken, err)
			}
		}
		token, err := client.ImageToken(ctx, live, audience)
		if err != nil { // that this user may not have one says nothing of the kubelet
			return "", fmt.Errorf("%w: %w", imagecred.ErrNoToken, err)
		}
		return imagecred.Secret(token), nil
	}
	return live.Images, nil
}

//go:build unix

package lab

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// soon is when the tokens die that die while somebody watches.
const soon = 15 * time.Second

// Incidents returns programs as they are found in clusters: one that will be
// refused tomorrow and one in a month, one whose next pod has a mended version,
// one that reads its token again, one that does so only when it is refused, and
// one that is about to be refused for good.
func Incidents() []StandIn {
	day := 24 * time.Hour
	dying := EKS + time.Minute - soon // refused that much later
	const kube2iam = "kube2iam/0.10.8 (linux/amd64) kubernetes/$Format"
	return []StandIn{
		{Namespace: "kube-system", Account: "kube2iam", Kind: "DaemonSet", Image: "jtblin/kube2iam:0.10.8", Node: "ip-10-0-1-7", Agent: kube2iam, Source: "10.0.1.7", Age: 89 * day, Profile: EKS},
		{Namespace: "kube-system", Account: "kube2iam", Kind: "DaemonSet", Image: "jtblin/kube2iam:0.10.8", Node: "ip-10-0-2-9", Agent: kube2iam, Source: "10.0.2.9", Age: 86 * day, Profile: EKS},
		{Namespace: "secrets", Account: "kubernetes-external-secrets", Kind: "Deployment", Image: "ghcr.io/external-secrets/kubernetes-external-secrets:8.5.5", Node: "ip-10-0-1-7", Agent: "kubernetes-external-secrets/8.5.5", Source: "10.0.1.23", Age: 60 * day, Profile: EKS},
		{Namespace: "apps", Account: "reporter", Kind: "Deployment", Image: "example.com/reporter:stable", Node: "ip-10-0-2-9", Agent: "reporter/1.4", Source: "10.0.4.4", Age: 40 * day, Profile: EKS, Then: ReadsAgain},
		{Namespace: "monitoring", Account: "prometheus", Kind: "StatefulSet", Image: "prom/prometheus:v2.55.1", Node: "ip-10-0-1-7", Agent: "Prometheus/2.55.1", Source: "10.0.3.3", Habit: ReadsAgain, Then: ReadsAgain},
		{Namespace: "logging", Account: "fluentd", Kind: "DaemonSet", Image: "fluent/fluentd-kubernetes-daemonset:v1.14", Node: "ip-10-0-5-5", Agent: "Ruby/kubeclient", Source: "10.0.5.5", Habit: ReadsWhenRefused, Then: ReadsWhenRefused, Age: dying, Profile: EKS},
		{Namespace: "apps", Account: "nightly-cron", Kind: "CronJob", Image: "example.com/nightly:7", Node: "ip-10-0-2-9", Agent: "Go-http-client/1.1", Source: "10.0.6.6", Age: dying, Profile: EKS},
	}
}

// OldKubeconfig writes a kubeconfig whose exec block asks for v1alpha1, around
// the lab's issuer, which would answer v1 and v1beta1. Its user has that name.
func (l *Lab) OldKubeconfig(ctx context.Context, name string) (string, error) {
	issuer, err := l.Issuer(ctx)
	if err != nil {
		return "", err
	}
	token := l.Path("reader.token")
	if err := os.WriteFile(token, []byte(l.StaticToken), 0o600); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	return l.Kubeconfig(name, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1alpha1", Command: issuer,
		Env: []clientcmdapi.ExecEnvVar{{Name: "LAB_TOKEN_FILE", Value: token}},
	}})
}

// ImageIncident is a private image that a node cannot pull, though its config is
// valid and its provider knows the password: the pattern matches no image.
type ImageIncident struct {
	Image, Pattern string
	// Config and BinDir are what the node's kubelet was given.
	Config, BinDir string
	Node           *Node
	// Namespace and Pod name the pod that waits for the image.
	Namespace, Pod string
}

// PlantImage starts a registry and a node that has joined, with a pod that
// never gets its image.
func (l *Lab) PlantImage(ctx context.Context) (*ImageIncident, error) {
	i := &ImageIncident{
		Image: "registry.example.com/team/app:1", Pattern: "registry.example.com/team/*",
		Namespace: "apps", Pod: "web-6f7c9d5b8-k2x4p",
	}
	registry, err := l.Registry(ctx, Basic)
	if err != nil {
		return nil, err
	}
	if _, err := registry.Push(ctx, "team/app:1"); err != nil {
		return nil, err
	}
	provider, err := l.Provider(ctx, registry)
	if err != nil {
		return nil, err
	}
	i.BinDir = provider.BinDir
	if i.Config, err = provider.Config(nil, i.Pattern); err != nil {
		return nil, err
	}
	i.Node, err = l.Node(ctx, NodeOptions{
		Joined: true, ImageConfig: i.Config, BinDir: i.BinDir,
		Registries: map[string]*Registry{"registry.example.com": registry},
	})
	if err != nil {
		return nil, err
	}
	if err := l.account(ctx, i.Namespace, "web"); err != nil {
		return nil, err
	}
	_, err = l.Admin.CoreV1().Pods(i.Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: i.Pod, Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			NodeName: i.Node.Name, HostNetwork: true, ServiceAccountName: "web",
			Containers: []corev1.Container{{Name: "main", Image: i.Image}},
		},
	}, metav1.CreateOptions{})
	return i, err
}

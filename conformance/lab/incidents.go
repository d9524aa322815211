//go:build unix

package lab

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// soon is when the tokens die that die while somebody watches.
const soon = 15 * time.Second

// Incidents returns programs as they are found in clusters: one that will be
// refused tomorrow and one in a month, one that reads its token again, one that
// does so only when it is refused, and one that is about to be refused for good.
func Incidents() []StandIn {
	day := 24 * time.Hour
	dying := EKS + time.Minute - soon // refused that much later
	return []StandIn{
		{Namespace: "kube-system", Account: "kube2iam", Pod: "kube2iam-x7k2p", Node: "ip-10-0-1-7", Agent: "kube2iam/0.10.8 (linux/amd64) kubernetes/$Format", Source: "10.0.1.7", Age: 89 * day, Profile: EKS},
		{Namespace: "kube-system", Account: "kube2iam", Pod: "kube2iam-9q4mz", Node: "ip-10-0-2-9", Agent: "kube2iam/0.10.8 (linux/amd64) kubernetes/$Format", Source: "10.0.2.9", Age: 86 * day, Profile: EKS},
		{Namespace: "secrets", Account: "kubernetes-external-secrets", Pod: "kubernetes-external-secrets-6d8f7c9b5-hx2lq", Agent: "kubernetes-external-secrets/8.5.5", Source: "10.0.1.23", Age: 60 * day, Profile: EKS},
		{Namespace: "monitoring", Account: "prometheus", Pod: "prometheus-0", Agent: "Prometheus/2.55.1", Source: "10.0.3.3", Habit: ReadsAgain},
		{Namespace: "logging", Account: "fluentd", Pod: "fluentd-7xk9d", Agent: "Ruby/kubeclient", Source: "10.0.5.5", Habit: ReadsWhenRefused, Age: dying, Profile: EKS},
		{Namespace: "apps", Account: "nightly-cron", Pod: "nightly-cron-28012340-zz9rt", Agent: "Go-http-client/1.1", Source: "10.0.6.6", Age: dying, Profile: EKS},
	}
}

// Plant starts stand-ins that may read pods, as their owners meant them to.
func (l *Lab) Plant(ctx context.Context, standIns []StandIn) ([]*Workload, error) {
	var users []string
	for _, s := range standIns {
		users = append(users, "system:serviceaccount:"+s.Namespace+":"+s.Account)
	}
	if err := l.Grant(ctx, Reader, users...); err != nil {
		return nil, err
	}
	var programs []*Workload
	for _, s := range standIns {
		p, err := l.Run(ctx, s)
		if err != nil {
			return programs, err
		}
		programs = append(programs, p)
	}
	return programs, l.plantOwners(ctx)
}

// plantOwners makes the workloads that the incidents' pods would belong to, so
// that there is something to restart. No controller acts on them.
func (l *Lab) plantOwners(ctx context.Context) error {
	labels := func(app string) (*metav1.LabelSelector, metav1.ObjectMeta) {
		m := map[string]string{"app": app}
		return &metav1.LabelSelector{MatchLabels: m}, metav1.ObjectMeta{Labels: m}
	}
	spec := func(account, image string) corev1.PodSpec {
		return corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "main", Image: image}}}
	}
	selector, meta := labels("kube2iam")
	_, err := l.Admin.AppsV1().DaemonSets("kube-system").Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "kube2iam"},
		Spec:       appsv1.DaemonSetSpec{Selector: selector, Template: corev1.PodTemplateSpec{ObjectMeta: meta, Spec: spec("kube2iam", "jtblin/kube2iam:0.10.8")}},
	}, metav1.CreateOptions{})
	if err := ignoreExists(err); err != nil {
		return err
	}
	selector, meta = labels("kubernetes-external-secrets")
	_, err = l.Admin.AppsV1().Deployments("secrets").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes-external-secrets"},
		Spec:       appsv1.DeploymentSpec{Selector: selector, Template: corev1.PodTemplateSpec{ObjectMeta: meta, Spec: spec("kubernetes-external-secrets", "ghcr.io/external-secrets/kubernetes-external-secrets:8.5.5")}},
	}, metav1.CreateOptions{})
	return ignoreExists(err)
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

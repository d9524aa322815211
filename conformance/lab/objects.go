//go:build unix

package lab

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespace makes a namespace of its own for a test, its name made from that of
// the test, and returns its name. It goes away with the lab.
func (l *Lab) Namespace(ctx context.Context, test string) (string, error) {
	base := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(test), "-"), "-")
	if len(base) > 40 {
		base = base[:40]
	}
	ns, err := l.Admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: base + "-"}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	return ns.Name, nil
}

// Pod makes a pod that nothing runs, with its namespace and service account
// where they are missing, as the owner of tokens. On a node name the API server
// puts it "on" that node.
func (l *Lab) Pod(ctx context.Context, namespace, name, account string, node ...string) (*corev1.Pod, error) {
	if err := l.account(ctx, namespace, account); err != nil {
		return nil, err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": account}},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			Containers:         []corev1.Container{{Name: "main", Image: "example.com/nothing:1"}},
			// No scheduler runs, and the kubelets that do are asked by name.
			NodeName: strings.Join(node, ""),
		},
	}
	made, err := l.Admin.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("lab: pod %s/%s: %w", namespace, name, err)
	}
	return made, nil
}

// account makes a namespace and a service account in it, where they are missing.
func (l *Lab) account(ctx context.Context, namespace, account string) error {
	_, err := l.Admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err := ignoreExists(err); err != nil {
		return fmt.Errorf("lab: namespace %s: %w", namespace, err)
	}
	_, err = l.Admin.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if err := ignoreExists(err); err != nil {
		return fmt.Errorf("lab: account %s/%s: %w", namespace, account, err)
	}
	return nil
}

// Grant binds a cluster role to users, in every namespace. A user named
// "system:serviceaccount:NAMESPACE:NAME" is that account.
func (l *Lab) Grant(ctx context.Context, clusterRole string, users ...string) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "lab-" + strings.ReplaceAll(clusterRole, ":", "-") + "-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
	}
	for _, user := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user})
	}
	if _, err := l.Admin.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("lab: granting %s: %w", clusterRole, err)
	}
	return nil
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

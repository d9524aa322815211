//go:build unix

package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controllers are those of kube-controller-manager that a credential meets: they
// make accounts, fill and clean up legacy token secrets, end namespaces, make the
// pods of workloads and roll them, and say how many pods a budget lets go.
var controllers = []string{
	"serviceaccount-controller", "serviceaccount-token-controller", "legacy-serviceaccount-token-cleaner-controller",
	"root-ca-certificate-publisher-controller", "namespace-controller", "garbage-collector-controller",
	"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
	"job-controller", "cronjob-controller", "disruption-controller",
}

func (l *Lab) startControllers(ctx context.Context) error {
	program, err := l.Program(ctx, "kube-controller-manager")
	if err != nil {
		return err
	}
	p, err := l.run("kube-controller-manager", program,
		"--kubeconfig", l.AdminKubeconfig,
		"--controllers", strings.Join(controllers, ","),
		"--service-account-private-key-file", l.Path("pki", "sa.key"),
		"--root-ca-file", l.CAFile,
		"--leader-elect=false",
		"--secure-port", "0")
	if err != nil {
		return err
	}
	// It is of use once namespaces get their account, without which no pod is taken.
	return p.waitFor(ctx, time.Minute, func(ctx context.Context) error {
		_, err := l.Admin.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("the default account is not there: %w", err)
		}
		return nil
	})
}

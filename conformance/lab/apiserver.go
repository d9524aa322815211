//go:build unix

package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// auditPolicy is what managed clusters do: everything, without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
`

func (l *Lab) startAPIServer(ctx context.Context) error {
	l.AuditLog = l.Path("audit.log")
	l.StaticToken, l.StaticUser = newUUID(), "lab-reader"
	policy, tokens := l.Path("audit-policy.yaml"), l.Path("tokens.csv")
	for file, text := range map[string]string{
		policy:     auditPolicy,
		tokens:     fmt.Sprintf("%s,%s,lab-reader,\"lab-readers\"\n", l.StaticToken, l.StaticUser),
		l.AuditLog: "", // so that it is there before the first event
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	if l.opts.Port != 0 {
		l.apiPort = l.opts.Port
		return l.runAPIServer(ctx, policy, tokens)
	}
	return withFreePorts(func() error {
		var err error
		if l.apiPort, err = freePort(); err != nil {
			return err
		}
		return l.runAPIServer(ctx, policy, tokens)
	})
}

func (l *Lab) runAPIServer(ctx context.Context, policy, tokens string) error {
	program, err := l.Program(ctx, "kube-apiserver")
	if err != nil {
		return err
	}
	l.URL = "https://127.0.0.1:" + strconv.Itoa(l.apiPort)
	args := []string{
		program,
		"--etcd-servers", l.etcdURL,
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(l.apiPort),
		"--cert-dir", l.Path("pki"),
		"--tls-cert-file", l.Path("pki", "apiserver.crt"), "--tls-private-key-file", l.Path("pki", "apiserver.key"),
		"--client-ca-file", l.CAFile,
		"--token-auth-file", tokens,
		"--service-account-issuer", Issuer,
		"--service-account-key-file", l.Path("pki", "sa.pub"),
		"--service-account-signing-key-file", l.Path("pki", "sa.key"),
		"--authorization-mode", "Node,RBAC",
		// As every installer does: kubelets may do what is theirs, and no more.
		"--enable-admission-plugins", "NodeRestriction",
		"--service-cluster-ip-range", "10.96.0.0/16",
		"--audit-policy-file", policy, "--audit-log-path", l.AuditLog,
		"--endpoint-reconciler-type", "none",
		"--allow-privileged",
	}
	if l.opts.TokenWebhook != "" {
		args = append(args, "--authentication-token-webhook-config-file", l.opts.TokenWebhook, "--authentication-token-webhook-version", "v1")
	}
	if l.opts.ServiceNet != "" {
		args = append(args, "--service-cluster-ip-range", l.opts.ServiceNet+".0/24")
	}
	args = append(args, l.opts.APIServerArgs...)
	p, err := l.runGuarded("kube-apiserver", args...)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(l.ca.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	return p.waitFor(ctx, 90*time.Second, func(ctx context.Context) error { return get(ctx, client, l.URL+"/readyz") })
}

// connect makes the admin client, and lets the static user read.
func (l *Lab) connect(ctx context.Context) error {
	certPEM, keyPEM, err := l.UserCertificate("lab:admin", "system:masters")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if l.AdminKubeconfig, err = l.Kubeconfig("admin", &clientcmdapi.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM}); err != nil {
		return err
	}
	l.AdminConfig = &rest.Config{
		Host: l.URL, UserAgent: "kubecred-lab", Timeout: 30 * time.Second, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: l.ca.pem, CertData: certPEM, KeyData: keyPEM},
	}
	if l.Admin, err = kubernetes.NewForConfig(l.AdminConfig); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	// The cluster role "view" is empty here: no controller puts it together.
	_, err = l.Admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: Reader},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"*"}, Resources: []string{"*"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return l.Grant(ctx, Reader, l.StaticUser)
}

// Reader is a cluster role of the lab that may read everything.
const Reader = "lab:reader"

package cli

import (
	"os"
	"path/filepath"
)

// auditLogPlaces are where distributions put the API server's audit log, as
// their documents and installers have it: kubeadm's examples in the Kubernetes
// documentation, kops, kubespray, RKE2, k3s, MicroK8s, OpenShift, Talos.
var auditLogPlaces = []string{
	"/var/log/kubernetes/audit",
	"/var/log/kubernetes/audit.log",
	"/var/log/kube-apiserver-audit.log",
	"/var/log/kube-apiserver/audit.log",
	"/var/log/audit/kube-apiserver-audit.log",
	"/var/log/audit/kube",
	"/var/log/kube-audit",
	"/var/lib/rancher/rke2/server/logs/audit.log",
	"/var/lib/rancher/k3s/server/logs/audit.log",
	"/var/snap/microk8s/current/var/log/apiserver/audit.log",
}

// usualPlaces fills in the sources that are there where people keep them.
func (a *app) usualPlaces(o *doctorOptions) {
	o.kubeconfigs = a.kubeconfigPaths(nil)
	for _, place := range auditLogPlaces {
		if _, err := os.Stat(filepath.Join(a.Root, place)); err == nil {
			o.auditLogs = append(o.auditLogs, filepath.Join(a.Root, place))
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// contexts makes a kubeconfig of n contexts, each with a cluster and a user of
// its own; every hundredth user asks for v1alpha1.
func contexts(n int) []byte {
	var b bytes.Buffer
	b.WriteString("apiVersion: v1\nkind: Config\ncurrent-context: c0\nclusters:\n")
	for i := range n {
		fmt.Fprintf(&b, "- name: k%d\n  cluster:\n    server: https://k%d.example.com\n", i, i)
	}
	b.WriteString("contexts:\n")
	for i := range n {
		fmt.Fprintf(&b, "- name: c%d\n  context:\n    cluster: k%d\n    user: u%d\n", i, i, i)
	}
	b.WriteString("users:\n")
	for i := range n {
		version := "v1beta1"
		if i%100 == 0 {
			version = "v1alpha1"
		}
		fmt.Fprintf(&b, "- name: u%d\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/%s\n      command: aws\n      args: [eks, get-token, --cluster-name, k%d]\n", i, version, i)
	}
	return b.Bytes()
}

// providers makes a credential provider config of n providers with a pattern
// each.
func providers(n int) []byte {
	var b bytes.Buffer
	b.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for i := range n {
		fmt.Fprintf(&b, "- name: provider-%d\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  defaultCacheDuration: 10m\n  matchImages:\n", i)
		fmt.Fprintf(&b, "  - \"*.r%d.example.com/team\"\n", i)
	}
	return b.Bytes()
}

func images(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "x.r%d.example.com/team/app%d:1.%d\n", i%100, i, i%7)
	}
	return b.Bytes()
}

// auditLog returns about size bytes of audit events at level Metadata, one in
// some 2,000 marked: 200 stale clients among ordinary traffic.
func auditLog(size int64) io.Reader {
	start := time.Date(2026, 11, 22, 3, 13, 0, 0, time.UTC)
	var block bytes.Buffer
	const events = 8192
	for i := range events {
		at := start.Add(time.Duration(i) * 400 * time.Millisecond)
		stamp := at.Format("2006-01-02T15:04:05.000000Z")
		pod := fmt.Sprintf("app-%d", i%700)
		notes := `"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\""`
		if i%2048 == 7 {
			issued := start.Add(-80 * 24 * time.Hour)
			notes += fmt.Sprintf(`,"authentication.k8s.io/stale-token":"subject: system:serviceaccount:ns-%d:app, seconds after warning threshold: %d"`, i%50, int(at.Sub(issued).Seconds())-3607)
		}
		fmt.Fprintf(&block, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"00000000-0000-4000-8000-%012d","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/ns-%d/configmaps?limit=500","verb":"list","user":{"username":"system:serviceaccount:ns-%d:app","uid":"0000000a-0000-4000-8000-%012d","groups":["system:serviceaccounts","system:serviceaccounts:ns-%d","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=0000000c-0000-4000-8000-%012d"],"authentication.kubernetes.io/node-name":["node-%d"],"authentication.kubernetes.io/pod-name":["%s"],"authentication.kubernetes.io/pod-uid":["0000000b-0000-4000-8000-%012d"]}},"sourceIPs":["10.0.%d.%d"],"userAgent":"app/v1.2.3 (linux/amd64) kubernetes/abcdef0","objectRef":{"resource":"configmaps","namespace":"ns-%d","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"%s","stageTimestamp":"%s","annotations":{%s}}`+"\n",
			i, i%50, i%50, i%50, i%50, i%700, i%20, pod, i%700, i%200, i%250, i%50, stamp, stamp, notes)
	}
	return io.LimitReader(&repeat{block: block.Bytes()}, size/int64(block.Len())*int64(block.Len()))
}

// repeat reads the same block for ever.
type repeat struct {
	block []byte
	off   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.off:])
	r.off = (r.off + n) % len(r.block)
	return n, nil
}

package main

import (
	"bytes"
	"fmt"
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

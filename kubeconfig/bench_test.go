package kubeconfig_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/kubeconfig"
)

// large makes a kubeconfig of n contexts, each with a cluster, a certificate
// authority and an exec user, as `aws eks update-kubeconfig` writes them.
func large(tb testing.TB, n int, version string) []byte {
	tb.Helper()
	data, err := os.ReadFile("../examples/kubeconfig-aws-cli-1.45.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	f, err := kubeconfig.Parse("example", data)
	if err != nil {
		tb.Fatal(err)
	}
	ca := f.Clusters[0].CAData.Value
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Config\nclusters:\n")
	arn := func(i int) string { return fmt.Sprintf("arn:aws:eks:us-east-1:123456789012:cluster/c%d", i) }
	for i := range n {
		fmt.Fprintf(&b, "- cluster:\n    certificate-authority-data: %s\n    server: https://c%d.us-east-1.eks.amazonaws.com\n  name: %s\n", ca, i, arn(i))
	}
	b.WriteString("contexts:\n")
	for i := range n {
		fmt.Fprintf(&b, "- context:\n    cluster: %s\n    user: %s\n  name: %s\n", arn(i), arn(i), arn(i))
	}
	fmt.Fprintf(&b, "current-context: %s\nusers:\n", arn(0))
	for i := range n {
		fmt.Fprintf(&b, "- name: %s\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/%s\n      args:\n      - --region\n      - us-east-1\n      - eks\n      - get-token\n      - --cluster-name\n      - c%d\n      - --output\n      - json\n      command: aws\n", arn(i), version, i)
	}
	return []byte(b.String())
}

// BenchmarkCheck10000Contexts is what `kubecred kubeconfig check` does with a file
// of ten thousand contexts; it must stay below a second.
func BenchmarkCheck10000Contexts(b *testing.B) {
	for _, version := range []string{"v1beta1", "v1alpha1"} {
		b.Run(version, func(b *testing.B) {
			data := large(b, 10_000, version)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				f, err := kubeconfig.Parse("config", data)
				if err != nil {
					b.Fatal(err)
				}
				kubeconfig.Check([]*kubeconfig.File{f}, kubeconfig.Env{
					Now: time.Now(), Getenv: os.Getenv, GOOS: "linux",
					Executables: func(string) []string { return []string{"/usr/bin/aws"} },
				})
			}
		})
	}
}

// BenchmarkFix10000Contexts plans the edit of a file of ten thousand contexts.
func BenchmarkFix10000Contexts(b *testing.B) {
	data := large(b, 10_000, "v1alpha1")
	f, err := kubeconfig.Parse("config", data)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Fix("v1"); err != nil {
			b.Fatal(err)
		}
	}
}

package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

// BenchmarkExplain10000 explains 10,000 images against 100 providers.
func BenchmarkExplain10000(b *testing.B) {
	var config strings.Builder
	config.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for i := range 100 {
		fmt.Fprintf(&config, "- name: p%d\n  matchImages: [\"*.team%d.example.com\", \"*.dkr.ecr.*.amazonaws.com\", \"registry%d.example.com:5000/team\"]\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", i, i, i)
	}
	c := imagecred.Parse("c.yaml", []byte(config.String()), 0)
	for b.Loop() {
		e := newExplainer([]*imagecred.Config{c}, io.Discard, "json")
		for i := range 10_000 {
			ref, err := imagecred.ParseImage(fmt.Sprintf("12345678%04d.dkr.ecr.us-east-1.amazonaws.com/team/app:%d", i, i))
			if err != nil {
				b.Fatal(err)
			}
			if err := e.add(ref); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.flush(); err != nil {
			b.Fatal(err)
		}
	}
}

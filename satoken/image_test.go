package satoken

import (
	"encoding/json"
	"testing"
)

func TestFindImageOffender(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := []struct {
		image, want string
		sure        bool
	}{
		{"jtblin/kube2iam:0.10.7", "kube2iam", true},
		{"docker.io/jtblin/kube2iam:v0.10.8" + digest, "kube2iam", true},
		{"jtblin/kube2iam:0.10.9", "", false},
		{"jtblin/kube2iam:0.11.0", "", false},
		{"jtblin/kube2iam", "kube2iam", false},
		{"jtblin/kube2iam:latest", "kube2iam", false},
		{"jtblin/kube2iam" + digest, "kube2iam", false},
		{"registry.example:5000/mirror/kube2iam:0.10.0", "kube2iam", true},
		{"registry.example:5000/mirror/kube2iam", "kube2iam", false},
		{"ghcr.io/external-secrets/kubernetes-external-secrets:8.5.5", "kubernetes-external-secrets", true},
		{"ghcr.io/external-secrets/external-secrets:v0.9.0", "", false},
		{"fluent/fluent-bit:1.8.15-debug", "fluent-bit", true},
		{"fluent/fluent-bit:2.1", "", false},
		{"public.ecr.aws/aws-observability/aws-for-fluent-bit:2.24.0", "fluent-bit", true},
		{"public.ecr.aws/aws-observability/aws-for-fluent-bit:2.25.0", "", false},
		{"public.ecr.aws/aws-observability/aws-for-fluent-bit:stable", "fluent-bit", false},
		{"fluent/fluentd-kubernetes-daemonset:v1.14-debian-cloudwatch-1", "kubeclient (Ruby)", true},
		{"fluent/fluentd-kubernetes-daemonset:v1.16.2-debian-elasticsearch8-1.1", "", false},
		{"my-kube2iam-fork:1.0", "", false},
		{"", "", false},
	}
	for _, tt := range tests {
		o, sure := FindImageOffender(tt.image)
		name := ""
		if o != nil {
			name = o.Name
		}
		if name != tt.want || sure != tt.sure {
			t.Errorf("FindImageOffender(%q) = %q, %v, want %q, %v", tt.image, name, sure, tt.want, tt.sure)
		}
	}
}

// TestImageDataIsWhole: every entry names an offender that there is.
func TestImageDataIsWhole(t *testing.T) {
	var list []map[string]any
	if err := json.Unmarshal(imageData, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(imageOffenders()) {
		t.Errorf("%d entries, %d of them name a known offender", len(list), len(imageOffenders()))
	}
	for _, m := range imageOffenders() {
		if len(m.Sources) == 0 {
			t.Errorf("%s names no source", m.Name)
		}
	}
}

func FuzzFindImageOffender(f *testing.F) {
	f.Add("jtblin/kube2iam:0.10.7")
	f.Add(":@/")
	f.Fuzz(func(t *testing.T, image string) { FindImageOffender(image) })
}

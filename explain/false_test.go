package explain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// generic are words that stand in every log. No rule may answer to them.
var generic = []string{
	"error", "Error:", "failed", "failure", "denied", "Unauthorized", "unauthorized", "Forbidden", "forbidden", "401", "403", "404", "500",
	"token", "tokens", "credential", "credentials", "secret", "password", "expired", "invalid", "missing", "not found", "timeout", "refused",
	"kubectl", "kubelet", "kubernetes", "aws", "eks", "gke", "aks", "azure", "google", "docker", "containerd", "registry", "image", "pull",
	"pod", "node", "cluster", "role", "user", "account", "config", "kubeconfig", "context", "exec", "plugin", "server", "client", "webhook",
	"certificate", "x509", "tls", "proxy", "cache", "lock", "null", "name", "apiVersion", "v1", "v1beta1", "v1alpha1", "warning", "fatal",
	"connection", "request", "response", "http", "https", "GET", "POST", "true", "false", "admin", "default", "python", "terraform", "helm",
}

// sure returns the causes that an answer offers to act on.
func sure(a Answer) []Cause {
	var out []Cause
	for _, c := range a.Causes {
		if c.Sure {
			out = append(out, c)
		}
	}
	return out
}

func TestNoAnswerToGenericWords(t *testing.T) {
	for _, w := range generic {
		if got := sure(judge(t, w)); len(got) > 0 {
			t.Errorf("%q alone leads to %s (%s)", w, got[0].Rule, got[0].Finding.Message)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom(generic), 1, 12).Draw(t, "words")
		text, err := NewText("input", strings.Join(words, rapid.SampledFrom([]string{" ", "\n", ": "}).Draw(t, "between")))
		if err != nil {
			t.Fatal(err)
		}
		if got := sure(Judge([]*Text{text}, Options{Now: now})); len(got) > 0 {
			t.Fatalf("%q leads to %s (%s)", text.Lines, got[0].Rule, got[0].Finding.Message)
		}
	})
}

// TestNoAnswerToUnrelatedLogs reads logs and issues that have nothing to do with
// Kubernetes credentials, whole and line by line. A line of three dashes stands
// between texts that are not one.
func TestNoAnswerToUnrelatedLogs(t *testing.T) {
	names, err := filepath.Glob("testdata/unrelated/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no logs")
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, whole := range strings.Split(string(data), "\n---\n") {
			for _, part := range append(strings.Split(whole, "\n"), whole) {
				for _, c := range sure(judge(t, part)) {
					t.Errorf("%s: %s (%s) for %.120q", name, c.Rule, c.Finding.Message, part)
				}
			}
		}
	}
}

// TestNoWrongAnswerToReports holds the sure causes of every report against its
// road: beside the first, which TestReports judges, none of another road may
// claim to be all but certain.
func TestNoWrongAnswerToReports(t *testing.T) {
	for _, r := range readReports(t) {
		a := r.answer(t)
		for i, c := range a.Causes {
			if i > 0 && c.Sure && c.Score > a.Causes[0].Score {
				t.Errorf("%s: %s outweighs the first cause", r.ID, c.Rule)
			}
			if c.Sure && c.Score >= 2*sureFrom && c.Finding.Road != r.Road && c.Score*2 > a.Causes[0].Score {
				t.Errorf("%s: %s (%s road, %d) is offered as all but certain", r.ID, c.Rule, c.Finding.Road, c.Score)
			}
		}
	}
}

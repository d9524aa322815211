package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestAlertRules holds docs/prometheus-rules.yaml against what -o prom writes: its
// alerts ask for metrics and labels that there are, and it has no field that
// Prometheus does not know.
func TestAlertRules(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "prometheus-rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	written := show(t, "prom")
	metric, selector, label := regexp.MustCompile(`\bkubecred_\w+`), regexp.MustCompile(`\{(\w+)="(\w+)"\}`), regexp.MustCompile(`\$labels\.(\w+)`)
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("%+v lacks a name, a severity or a summary", r)
			}
			if strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") || len(metric.FindAllString(r.Expr, -1)) == 0 {
				t.Errorf("%s: %s", r.Alert, r.Expr)
			}
			for _, name := range metric.FindAllString(r.Expr, -1) {
				if !strings.Contains(written, "\n# TYPE "+name+" gauge\n") {
					t.Errorf("%s asks for %s, which is not written", r.Alert, name)
				}
			}
			for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
				if !strings.Contains(written, m[1]+`="`+m[2]+`"`) {
					t.Errorf("%s asks for %s, which is not written", r.Alert, m[0])
				}
			}
			for _, text := range r.Annotations {
				for _, m := range label.FindAllStringSubmatch(text, -1) {
					if !strings.Contains(written, m[1]+`="`) {
						t.Errorf("%s shows the label %s, which is not written", r.Alert, m[1])
					}
				}
			}
		}
	}
	if n < 4 {
		t.Errorf("%d rules", n)
	}
}

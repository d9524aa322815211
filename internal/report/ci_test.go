package report_test

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
)

// sarifShape is what the standard's schema demands of the objects that are used:
// required properties, and those that may be there at all.
var sarifShape = map[string]struct{ required, allowed []string }{
	"log":              {[]string{"version", "runs"}, []string{"$schema"}},
	"run":              {[]string{"tool"}, []string{"columnKind", "results"}},
	"tool":             {[]string{"driver"}, nil},
	"driver":           {[]string{"name"}, []string{"informationUri", "rules"}},
	"rule":             {[]string{"id"}, []string{"shortDescription", "fullDescription", "help", "defaultConfiguration", "properties"}},
	"result":           {[]string{"message"}, []string{"ruleId", "ruleIndex", "level", "locations", "partialFingerprints", "properties"}},
	"location":         {nil, []string{"physicalLocation", "logicalLocations"}},
	"physicalLocation": {nil, []string{"artifactLocation", "region"}},
	"artifactLocation": {nil, []string{"uri"}},
	"region":           {nil, []string{"startLine", "startColumn", "snippet"}},
	"text":             {[]string{"text"}, nil},
	"logicalLocation":  {nil, []string{"fullyQualifiedName", "kind"}},
	"configuration":    {nil, []string{"level"}},
}

// sarifChildren says which object is below which property.
var sarifChildren = map[string]string{
	"log.runs": "run", "run.tool": "tool", "tool.driver": "driver", "driver.rules": "rule", "run.results": "result",
	"rule.shortDescription": "text", "rule.fullDescription": "text", "rule.help": "text", "rule.defaultConfiguration": "configuration",
	"result.message": "text", "result.locations": "location", "location.physicalLocation": "physicalLocation",
	"physicalLocation.artifactLocation": "artifactLocation", "physicalLocation.region": "region", "region.snippet": "text",
	"location.logicalLocations": "logicalLocation",
}

func checkSARIF(t *testing.T, kind, at string, v any) {
	t.Helper()
	if list, ok := v.([]any); ok {
		for _, item := range list {
			checkSARIF(t, kind, at, item)
		}
		return
	}
	object, ok := v.(map[string]any)
	if !ok {
		t.Errorf("%s is %T, want an object", at, v)
		return
	}
	shape := sarifShape[kind]
	for _, name := range shape.required {
		if _, ok := object[name]; !ok {
			t.Errorf("%s lacks %s", at, name)
		}
	}
	for name, value := range object {
		if !slices.Contains(shape.required, name) && !slices.Contains(shape.allowed, name) {
			t.Errorf("%s has %s, which the standard does not know", at, name)
		}
		switch name {
		case "level":
			if !slices.Contains([]any{"none", "note", "warning", "error"}, value) {
				t.Errorf("%s: level %v", at, value)
			}
		case "startLine", "startColumn":
			if n, ok := value.(float64); !ok || n < 1 {
				t.Errorf("%s: %s is %v, want at least 1", at, name, value)
			}
		case "uri":
			if _, err := url.Parse(value.(string)); err != nil || strings.ContainsAny(value.(string), ` \`) {
				t.Errorf("%s: %v is no URI: %v", at, value, err)
			}
		}
		if child, ok := sarifChildren[kind+"."+name]; ok {
			checkSARIF(t, child, at+"."+name, value)
		}
	}
}

func TestSARIFIsWhatTheStandardSays(t *testing.T) {
	for name, r := range map[string]finding.Report{"sample": sample(), "nothing": finding.NewReport(at, nil, nil)} {
		var doc map[string]any
		if err := json.Unmarshal([]byte(render(t, "sarif", r, report.Options{})), &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkSARIF(t, "log", name, doc)
		run := doc["runs"].([]any)[0].(map[string]any)
		results, ok := run["results"].([]any)
		if !ok || len(results) != len(r.Findings) {
			t.Errorf("%s: %d results, want %d", name, len(results), len(r.Findings))
		}
		rules := run["tool"].(map[string]any)["driver"].(map[string]any)["rules"].([]any)
		for _, result := range results {
			result := result.(map[string]any)
			rule := rules[int(result["ruleIndex"].(float64))].(map[string]any)
			if rule["id"] != result["ruleId"] {
				t.Errorf("%s: ruleIndex of %v leads to %v", name, result["ruleId"], rule["id"])
			}
		}
	}
}

func TestSARIFPlaces(t *testing.T) {
	tests := []struct {
		where finding.Where
		want  string
	}{
		{finding.Where{File: "a b/c.yaml", Line: 7, Column: 5}, `{"artifactLocation":{"uri":"a%20b/c.yaml"},"region":{"startLine":7,"startColumn":5}}`},
		{finding.Where{File: "./c.yaml", Line: 7}, `{"artifactLocation":{"uri":"c.yaml"},"region":{"startLine":7}}`},
		{finding.Where{File: "c.yaml"}, `{"artifactLocation":{"uri":"c.yaml"}}`},
		{finding.Where{File: "/etc/k.yaml", Line: 1, Column: 1}, `{"artifactLocation":{"uri":"file:///etc/k.yaml"},"region":{"startLine":1,"startColumn":1}}`},
		{finding.Where{File: "C:/k.yaml"}, `{"artifactLocation":{"uri":"file:///C:/k.yaml"}}`},
		{finding.Where{File: "a:b.yaml", Line: 2}, `{"artifactLocation":{"uri":"./a:b.yaml"},"region":{"startLine":2}}`},
	}
	for _, tt := range tests {
		f := finding.New("KC101", "user x", "m")
		f.Where = tt.where
		out := render(t, "sarif", finding.NewReport(at, []finding.Finding{f}, nil), report.Options{})
		var doc struct {
			Runs []struct {
				Results []struct {
					Locations []struct {
						PhysicalLocation json.RawMessage `json:"physicalLocation"`
					} `json:"locations"`
				} `json:"results"`
			} `json:"runs"`
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`\n\s*|(": )`).ReplaceAllStringFunc(string(doc.Runs[0].Results[0].Locations[0].PhysicalLocation), func(s string) string {
			return strings.TrimRight(strings.TrimSpace(s), " ")
		})
		if got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.where, got, tt.want)
		}
	}
}

type junitXML struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Suites   []struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			File    string `xml:"file,attr"`
			Line    int    `xml:"line,attr"`
			Failure *struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"failure"`
			Output string `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestJUnit(t *testing.T) {
	var doc junitXML
	if err := xml.Unmarshal([]byte(render(t, "junit", sample(), report.Options{})), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Tests != 5 || doc.Failures != 2 || len(doc.Suites) != 3 {
		t.Errorf("%d tests, %d failures, %d suites; want 5, 2, 3", doc.Tests, doc.Failures, len(doc.Suites))
	}
	for _, s := range doc.Suites {
		failures := 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures {
			t.Errorf("suite %s: says %d tests and %d failures, has %d and %d", s.Name, s.Tests, s.Failures, len(s.Cases), failures)
		}
	}
	first := doc.Suites[0].Cases[0]
	if first.Name != "KC101 user prod" || first.Line != 29 || first.Failure.Type != "error" || !strings.Contains(first.Failure.Text, "Mend: kubecred kubeconfig fix") {
		t.Errorf("first case: %+v", first)
	}
}

// TestFormatsAgree holds that every format counts the same findings.
func TestFormatsAgree(t *testing.T) {
	r := sample()
	r.Findings = append(r.Findings, finding.New("KC226", "provider x", "]]> & <a> \x00 \ufffe"))
	r.Findings[len(r.Findings)-1].Where = finding.Where{File: "x\ny", Line: 3}
	r = finding.NewReport(r.At, r.Findings, r.Sources)
	for _, failOn := range []finding.Severity{"", finding.Error, finding.Warning} {
		want := r.Count(finding.Error)
		if failOn == finding.Warning {
			want += r.Count(finding.Warning)
		}
		var doc junitXML
		if err := xml.Unmarshal([]byte(render(t, "junit", r, report.Options{FailOn: failOn})), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Failures != want {
			t.Errorf("--fail-on %q: junit has %d failures, want %d", failOn, doc.Failures, want)
		}
	}
	sarif := render(t, "sarif", r, report.Options{})
	for level, severity := range map[string]finding.Severity{"error": finding.Error, "warning": finding.Warning, "note": finding.Info} {
		if got := strings.Count(sarif, "\n          \"level\": \""+level+"\""); got != r.Count(severity) {
			t.Errorf("sarif has %d results of level %s, want %d", got, level, r.Count(severity))
		}
	}
}

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// junit is the XML that CI systems show as test results: a suite for each road,
// a test for each finding, and one that passes for each source without any.
type junit struct {
	w io.Writer
	o Options
}

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Failure   *junitFailure `xml:"failure,omitempty"`
		Output    *junitOutput  `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
	junitOutput struct {
		Text string `xml:",cdata"`
	}
)

func (j junit) Handle(r finding.Report) error {
	all := junitSuites{Name: "kubecred", Suites: []junitSuite{}}
	for _, road := range finding.Roads() {
		if s := j.suite(r, road); s.Tests > 0 {
			all.Suites = append(all.Suites, s)
			all.Tests += s.Tests
			all.Failures += s.Failures
		}
	}
	if _, err := io.WriteString(j.w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(j.w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(j.w, "\n")
	return err
}

func (j junit) suite(r finding.Report, road finding.Road) junitSuite {
	s := junitSuite{Name: string(road), Timestamp: r.At.UTC().Format("2006-01-02T15:04:05")}
	files := map[string]bool{}
	for _, f := range r.Findings {
		if f.Road != road {
			continue
		}
		files[f.Where.File] = true
		c := j.testCase(f)
		if c.Failure != nil {
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, source := range r.Sources {
		if source.Road == road && !files[source.Name] {
			s.Cases = append(s.Cases, junitCase{
				Name: printable(source.Name), ClassName: "kubecred." + string(road), Output: &junitOutput{printable(source.Summary)},
			})
		}
	}
	s.Tests = len(s.Cases)
	return s
}

// testCase is a failure from the severity on that also decides the exit status.
func (j junit) testCase(f finding.Finding) junitCase {
	said := lines(f)
	if place := (text{}).place(f.Where); place != "" {
		said = append([]string{strings.TrimSpace(place + "   " + f.Where.Text)}, said...)
	}
	body := printable(strings.Join(said, "\n"))
	c := junitCase{
		Name: printable(fmt.Sprintf("%s %s", f.Code, f.Subject)), ClassName: "kubecred." + string(f.Road),
		File: printable(f.Where.File), Line: max(f.Where.Line, 0),
	}
	if f.Severity.Rank() < j.o.failRank() {
		c.Output = &junitOutput{string(f.Severity) + ": " + body}
		return c
	}
	c.Failure = &junitFailure{Message: printable(f.Message), Type: string(f.Severity), Text: body}
	return c
}

// printable keeps line ends and drops what XML 1.0 cannot hold.
func printable(s string) string {
	parts := strings.Split(strings.ToValidUTF8(s, "\ufffd"), "\n")
	for i := range parts {
		parts[i] = strings.NewReplacer("\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(clean(parts[i]))
	}
	return strings.Join(parts, "\n")
}

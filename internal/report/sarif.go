package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// sarif is SARIF 2.1.0 (OASIS), which code hosts show in a pull request.
type sarif struct{ w io.Writer }

// The objects of the standard, as far as they are used. Names are the standard's.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string          `json:"id"`
		ShortDescription     sarifText       `json:"shortDescription"`
		FullDescription      sarifText       `json:"fullDescription"`
		Help                 sarifText       `json:"help"`
		DefaultConfiguration sarifConfig     `json:"defaultConfiguration"`
		Properties           sarifProperties `json:"properties"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags []string `json:"tags"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
		Properties          map[string]any    `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int        `json:"startLine"`
		StartColumn int        `json:"startColumn,omitempty"`
		Snippet     *sarifText `json:"snippet,omitempty"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	informURI    = "https://github.com/kubecred/kubecred"
	sarifColumns = "unicodeCodePoints"
)

func (s sarif) Handle(r finding.Report) error {
	rules, index := sarifRules(r.Findings)
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "kubecred", InformationURI: informURI, Rules: rules}},
		ColumnKind: sarifColumns,
		Results:    []sarifResult{},
	}
	for _, f := range r.Findings {
		run.Results = append(run.Results, sarifOf(f, index[f.Code]))
	}
	enc := json.NewEncoder(s.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifRules are the codes that the findings have, each once, in order.
func sarifRules(findings []finding.Finding) ([]sarifRule, map[string]int) {
	rules, index := []sarifRule{}, map[string]int{}
	var codes []string
	for _, f := range findings {
		if !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	slices.Sort(codes)
	for _, code := range codes {
		index[code] = len(rules)
		rule := sarifRule{ID: code, ShortDescription: sarifText{code}, FullDescription: sarifText{code}, Help: sarifText{code},
			DefaultConfiguration: sarifConfig{"warning"}, Properties: sarifProperties{[]string{}}}
		// A saved report may hold a code of another version of kubecred.
		if c, ok := finding.Lookup(code); ok {
			rule.ShortDescription.Text = capitalize(c.Title) + "."
			rule.FullDescription.Text = c.Explanation
			rule.Help.Text = c.Mending
			rule.DefaultConfiguration.Level = sarifLevel(c.Severity)
			rule.Properties.Tags = []string{"kubernetes", string(c.Road)}
		}
		rules = append(rules, rule)
	}
	return rules, index
}

func sarifLevel(s finding.Severity) string {
	switch s {
	case finding.Error:
		return "error"
	case finding.Warning:
		return "warning"
	}
	return "note"
}

func sarifOf(f finding.Finding, rule int) sarifResult {
	location := sarifLocation{Logical: []sarifLogical{{FullyQualifiedName: clean(f.Subject), Kind: "resource"}}}
	if f.Where.File != "" {
		location.Physical = &sarifPhysical{Artifact: sarifArtifact{fileURI(f.Where.File)}}
		if f.Where.Line > 0 {
			location.Physical.Region = &sarifRegion{StartLine: f.Where.Line, StartColumn: max(f.Where.Column, 0)}
			if f.Where.Text != "" {
				location.Physical.Region.Snippet = &sarifText{clean(f.Where.Text)}
			}
		}
	}
	result := sarifResult{
		RuleID: f.Code, RuleIndex: rule, Level: sarifLevel(f.Severity),
		Message:   sarifText{printable(strings.Join(lines(f), "\n"))},
		Locations: []sarifLocation{location},
		// What identifies the finding when lines move: its code, subject and file.
		PartialFingerprints: map[string]string{"kubecred/v1": fingerprint(f.Code, f.Subject, f.Where.File, f.Message)},
		Properties:          map[string]any{"road": f.Road, "severity": f.Severity},
	}
	if !f.Due.IsZero() {
		result.Properties["due"] = f.Due.UTC()
	}
	if len(f.Evidence) > 0 {
		result.Properties["evidence"] = f.Evidence
	}
	return result
}

// lines is a finding in words: what it is, why, and the way out.
func lines(f finding.Finding) []string {
	out := []string{f.Subject + ": " + f.Message}
	out = append(out, f.Details...)
	if f.Stopgap != nil {
		if way := wayOut(*f.Stopgap); way != "" {
			out = append(out, "Buys time: "+way)
		}
	}
	if way := wayOut(f.Fix); way != "" {
		out = append(out, "Mend: "+way)
	}
	return out
}

func wayOut(fix finding.Fix) string {
	switch {
	case fix.Command == "":
		return fix.Summary
	case fix.Summary == "":
		return fix.Command
	}
	return fix.Command + " (" + fix.Summary + ")"
}

func fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// fileURI writes a path as a URI reference: relative paths stay relative, so
// that a code host finds them in its tree.
func fileURI(name string) string {
	name = filepath.ToSlash(name)
	if strings.HasPrefix(name, "//") || len(name) > 2 && name[1] == ':' && name[2] == '/' { // Windows
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimLeft(name, "/")}).String()
	}
	if strings.HasPrefix(name, "/") {
		return (&url.URL{Scheme: "file", Path: name}).String()
	}
	return (&url.URL{Path: strings.TrimPrefix(name, "./")}).String()
}

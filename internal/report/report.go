// Package report shows a finding.Report in one of several formats. Each format
// is a finding.Handler in a file of its own; [New] knows them by name.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// Options say how a report is shown.
type Options struct {
	// Color allows terminal colours in the text format.
	Color bool
	// Home is the home directory, which text writes as ~ in paths; "" for none.
	Home string
	// FailOn is the severity from which formats that know tests call a finding a
	// failed one; "" is Error.
	FailOn finding.Severity
}

// failRank is the rank of FailOn.
func (o Options) failRank() int {
	if o.FailOn.Rank() == 0 {
		return finding.Error.Rank()
	}
	return o.FailOn.Rank()
}

type format struct {
	name string
	make func(io.Writer, Options) finding.Handler
}

// formats is the table of formats, in the order in which help texts name them.
var formats = []format{
	{"text", func(w io.Writer, o Options) finding.Handler { return text{w, o} }},
	{"json", func(w io.Writer, _ Options) finding.Handler { return jsonFormat{w} }},
	{"html", func(w io.Writer, _ Options) finding.Handler { return html{w} }},
	{"sarif", func(w io.Writer, _ Options) finding.Handler { return sarif{w} }},
	{"junit", func(w io.Writer, o Options) finding.Handler { return junit{w, o} }},
	{"ics", func(w io.Writer, _ Options) finding.Handler { return ics{w} }},
	{"csv", func(w io.Writer, _ Options) finding.Handler { return table{w} }},
	{"prom", func(w io.Writer, _ Options) finding.Handler { return prom{w} }},
}

// Names lists the formats.
func Names() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// New returns the handler that writes the named format to w.
func New(name string, w io.Writer, o Options) (finding.Handler, error) {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown format %q: use one of %s", name, strings.Join(Names(), ", "))
	}
	return formats[i].make(w, o), nil
}

package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/explain"
	"github.com/kubecred/kubecred/finding"
)

// explainJSON is a report whose findings are ranked, with what each input was
// taken for and what would help.
type explainJSON struct {
	finding.Report
	Inputs []explainInput `json:"inputs"`
	Add    []string       `json:"add"`
	Codes  []finding.Code `json:"codes,omitempty"`
}

type explainInput struct {
	Name   string         `json:"name"`
	Bytes  int64          `json:"bytes"`
	Undone []string       `json:"undone,omitempty"`
	Kinds  []explainPiece `json:"takenFor"`
}

type explainPiece struct {
	Kind    string       `json:"kind"`
	Road    finding.Road `json:"road,omitempty"`
	Line    int          `json:"line"`
	Column  int          `json:"column"`
	Summary string       `json:"summary,omitempty"`
}

// explainReport writes the answer in a format for programs.
func (a *app) explainReport(o *whatOptions, codes []finding.Code, texts []*explain.Text, eo explain.Options) error {
	answer := explain.Judge(texts, eo)
	if o.format != "json" {
		return a.show(&o.output, answer.Report())
	}
	out := explainJSON{Report: answer.Report(), Inputs: []explainInput{}, Add: answer.Add, Codes: codes}
	if out.Add == nil {
		out.Add = []string{}
	}
	for _, t := range texts {
		in := explainInput{Name: t.Name, Bytes: t.Size, Undone: t.Notes(), Kinds: []explainPiece{}}
		for _, p := range answer.Pieces {
			if p.Where.File == t.Name {
				in.Kinds = append(in.Kinds, explainPiece{p.Kind, p.Road, p.Where.Line, p.Where.Column, p.Summary})
			}
		}
		out.Inputs = append(out.Inputs, in)
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if len(texts) > 0 && len(answer.Causes) == 0 && len(answer.Pieces) == 0 {
		return unknown(make([]string, len(texts)), texts, nil)
	}
	return a.explained(o, answer)
}

// showAnswer writes the answer for a person.
func (a *app) showAnswer(answer explain.Answer, texts []*explain.Text) {
	a.showTaken(answer, texts)
	if len(answer.Causes) == 0 {
		fmt.Fprintln(a.Stdout, nothing(answer))
		a.showAdd(answer)
		return
	}
	shown := answer.Shown()
	for i, c := range shown {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		a.showCause(c, len(shown) > 1)
	}
	if n := len(answer.Causes) - len(shown); n > 0 {
		fmt.Fprintf(a.Stdout, "\n%d more that the input speaks less for; -o json lists all.\n", n)
	}
	if !answer.Causes[0].Sure {
		a.showAdd(answer)
	}
}

func nothing(answer explain.Answer) string {
	if answer.Fault() {
		return "kubecred knows no cause for this."
	}
	return "Nothing is wrong in it that kubecred can see."
}

func (a *app) showAdd(answer explain.Answer) {
	if len(answer.Add) == 0 {
		return
	}
	fmt.Fprintln(a.Stdout, "\nIt would help to add")
	for _, s := range answer.Add {
		fmt.Fprintf(a.Stdout, "  %s\n", s)
	}
}

// showTaken says what each input was taken for.
func (a *app) showTaken(answer explain.Answer, texts []*explain.Text) {
	fmt.Fprintln(a.Stdout, "Taken for")
	for _, t := range texts {
		var kinds []string
		n := 0
		for _, p := range answer.Pieces {
			if p.Where.File != t.Name {
				continue
			}
			if s := p.String(); !slices.Contains(kinds, s) {
				if n++; n <= 4 {
					kinds = append(kinds, s)
				}
			}
		}
		what := "nothing that kubecred knows"
		if len(kinds) > 0 {
			what = strings.Join(kinds, "; ")
		}
		if n > 4 {
			what += fmt.Sprintf("; and %d more", n-4)
		}
		if notes := t.Notes(); len(notes) > 0 {
			what += " (" + strings.Join(notes, ", ") + ")"
		}
		fmt.Fprintf(a.Stdout, "  %s: %s\n", t.Name, what)
	}
	fmt.Fprintln(a.Stdout)
}

func (a *app) showCause(c explain.Cause, apart bool) {
	f := c.Finding
	fmt.Fprintf(a.Stdout, "%s  %s\n", f.Code, strings.Join(strings.Fields(joined(f.Subject, f.Message)), " "))
	how := "likely"
	switch {
	case !c.Sure:
		how = "only a guess"
	case c.Score >= 16:
		how = "all but certain"
	}
	kind := fmt.Sprintf("%s road, %s, %s", f.Road, f.Severity, how)
	if c.Trap {
		kind += "; a trap: the error is not about what it seems to be about"
	}
	fmt.Fprintf(a.Stdout, "       %s\n", kind)
	for i, s := range c.Signs {
		if i == 4 {
			fmt.Fprintf(a.Stdout, "       and %d more signs\n", len(c.Signs)-4)
			break
		}
		fmt.Fprintf(a.Stdout, "       %s\n", signLine(s))
	}
	for _, d := range f.Details {
		a.indent("", d)
	}
	if code, ok := finding.Lookup(f.Code); ok && !strings.Contains(strings.Join(f.Details, " "), code.Explanation) {
		a.indent("", code.Explanation)
	}
	a.indent("mend   ", f.Fix.Summary)
	if f.Fix.Command != "" {
		for l := range strings.SplitSeq(strings.TrimRight(f.Fix.Command, "\n"), "\n") {
			fmt.Fprintf(a.Stdout, "              %s\n", l)
		}
	}
	if f.Stopgap != nil {
		a.indent("till then  ", joined(f.Stopgap.Summary, f.Stopgap.Command))
	}
	if c.Tell != "" && (apart || !c.Sure) {
		a.indent("to be sure  ", c.Tell)
	}
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	if b == "" {
		return a
	}
	return a + ": " + b
}

func signLine(s explain.Sign) string {
	place := s.Where.File
	if s.Where.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", s.Where.File, s.Where.Line, s.Where.Column)
	}
	what := s.Where.Text
	if what == "" || len(what) > 100 {
		what = s.What
	}
	return strings.TrimSpace(place + "   " + shortenTo(what, 110))
}

func shortenTo(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}

// indent writes a paragraph under a cause.
func (a *app) indent(label, text string) {
	if text == "" {
		return
	}
	if width := 88 - len(label); strings.Contains(text, "\n") || len([]rune(text)) > width {
		text = wrap(text, width) // what fits keeps its columns
	}
	for i, l := range strings.Split(text, "\n") {
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		fmt.Fprintf(a.Stdout, "       %s%s\n", label, l)
	}
}

func (a *app) explainCode(c finding.Code) {
	fmt.Fprintf(a.Stdout, "%s  %s\n", c.Code, c.Title)
	fmt.Fprintf(a.Stdout, "%s road, %s by default\n\n", c.Road, c.Severity)
	fmt.Fprintln(a.Stdout, wrap(c.Explanation, 78))
	fmt.Fprintf(a.Stdout, "\nMending\n%s\n", wrap(c.Mending, 78))
	if len(c.Messages) > 0 {
		fmt.Fprintln(a.Stdout, "\nKnown by")
		for _, m := range c.Messages {
			fmt.Fprintf(a.Stdout, "  %s\n", m.Text)
		}
	}
	if len(c.Sources) > 0 {
		fmt.Fprintln(a.Stdout, "\nSources")
		for _, s := range c.Sources {
			fmt.Fprintf(a.Stdout, "  %s\n", s)
		}
	}
}

// wrap breaks paragraphs at words so that no line is longer than width.
func wrap(s string, width int) string {
	var out []string
	for paragraph := range strings.SplitSeq(s, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = word
			case len([]rune(line))+1+len([]rune(word)) > width:
				out = append(out, line)
				line = word
			default:
				line += " " + word
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

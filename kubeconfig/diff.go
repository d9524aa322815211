package kubeconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// diffContext is how many lines a diff shows around a change.
const diffContext = 3

// Diff returns the edit as a unified diff without timestamps. before is the text
// that the file has, the one that was parsed unless the file is new. An edit
// knows which lines it touches, so entries that look alike make it no longer.
func (e *Edit) Diff(name string, before []byte) string {
	var lines []diffLine
	at := 0
	for _, r := range e.regions(before) {
		lines = appendLines(lines, ' ', before[at:r.from])
		lines = compareLines(lines, before[r.from:r.to], r.after)
		at = r.to
	}
	lines = appendLines(lines, ' ', before[at:])
	body := hunks(lines)
	if body == "" {
		return ""
	}
	return "--- " + name + "\n+++ " + name + "\n" + body
}

// region is a part of a text, in whole lines, and what an edit makes of it.
type region struct {
	from, to int
	after    []byte
}

func (e *Edit) regions(before []byte) []region {
	if len(e.splices) == 0 || !bytes.Equal(before, e.before) {
		return []region{{0, len(before), e.Data}}
	}
	splices := slices.Clone(e.splices)
	slices.SortStableFunc(splices, func(a, b splice) int { return a.start - b.start })
	var out []region
	for i := 0; i < len(splices); {
		r := region{from: bytes.LastIndexByte(before[:splices[i].start], '\n') + 1}
		first := i
		for ; i < len(splices) && (i == first || splices[i].start < r.to || splices[i].start == len(before)); i++ {
			r.to = len(before)
			if n := bytes.IndexByte(before[splices[i].end:], '\n'); n >= 0 {
				r.to = splices[i].end + n + 1
			}
		}
		at := r.from
		for _, s := range splices[first:i] {
			r.after = append(append(r.after, before[at:s.start]...), s.text...)
			at = s.end
		}
		r.after = append(r.after, before[at:r.to]...)
		out = append(out, r)
	}
	return out
}

// diffLine is a line of a diff: ' ', '-' or '+', and the text with its end.
type diffLine struct {
	kind byte
	text string
}

func appendLines(lines []diffLine, kind byte, text []byte) []diffLine {
	for line := range bytes.Lines(text) {
		lines = append(lines, diffLine{kind, string(line)})
	}
	return lines
}

// maxCompared bounds the table of [compareLines]; what is larger counts as
// replaced.
const maxCompared = 1 << 20

// compareLines appends what becomes of the old lines, by their longest common
// subsequence.
func compareLines(lines []diffLine, before, after []byte) []diffLine {
	a, b := slices.Collect(bytes.Lines(before)), slices.Collect(bytes.Lines(after))
	same := 0
	for same < min(len(a), len(b)) && bytes.Equal(a[same], b[same]) {
		same++
	}
	lines = appendLines(lines, ' ', bytes.Join(a[:same], nil))
	a, b = a[same:], b[same:]
	end := 0
	for end < min(len(a), len(b)) && bytes.Equal(a[len(a)-1-end], b[len(b)-1-end]) {
		end++
	}
	rest := bytes.Join(a[len(a)-end:], nil)
	a, b = a[:len(a)-end], b[:len(b)-end]
	var common [][]int // of the lines from i and from j on
	if (len(a)+1)*(len(b)+1) <= maxCompared {
		common = make([][]int, len(a)+1)
		for i := len(a); i >= 0; i-- {
			common[i] = make([]int, len(b)+1)
			for j := len(b) - 1; j >= 0 && i < len(a); j-- {
				if common[i][j] = max(common[i+1][j], common[i][j+1]); bytes.Equal(a[i], b[j]) {
					common[i][j] = common[i+1][j+1] + 1
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && common != nil && bytes.Equal(a[i], b[j]):
			lines = append(lines, diffLine{' ', string(a[i])})
			i++
			j++
		case j == len(b) || i < len(a) && (common == nil || common[i+1][j] >= common[i][j+1]):
			lines = append(lines, diffLine{'-', string(a[i])})
			i++
		default:
			lines = append(lines, diffLine{'+', string(b[j])})
			j++
		}
	}
	return appendLines(lines, ' ', rest)
}

// hunks writes the changed lines with what is around them.
func hunks(lines []diffLine) string {
	var b strings.Builder
	from, to := 1, 1 // the numbers of the line at hand, before and after
	for i := 0; i < len(lines); {
		if lines[i].kind == ' ' {
			i, from, to = i+1, from+1, to+1
			continue
		}
		last := i // the hunk's last change
		for k := i; k < len(lines) && k-last <= 2*diffContext+1; k++ {
			if lines[k].kind != ' ' {
				last = k
			}
		}
		first := max(0, i-diffContext)
		part := lines[first:min(len(lines), last+1+diffContext)]
		olds, news := 0, 0
		for _, l := range part {
			if l.kind != '+' {
				olds++
			}
			if l.kind != '-' {
				news++
			}
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", lineRange(from-(i-first), olds), lineRange(to-(i-first), news))
		writeHunk(&b, part)
		for _, l := range lines[i : last+1] {
			if l.kind != '+' {
				from++
			}
			if l.kind != '-' {
				to++
			}
		}
		i = last + 1
	}
	return b.String()
}

// lineRange writes which lines a hunk is of: of none, the line before.
func lineRange(from, n int) string {
	if n == 0 {
		from--
	}
	return fmt.Sprintf("%d,%d", from, n)
}

// writeHunk writes lines, of each run of changes the old ones first.
func writeHunk(b *strings.Builder, lines []diffLine) {
	write := func(l diffLine) {
		b.WriteByte(l.kind)
		b.WriteString(l.text)
		if !strings.HasSuffix(l.text, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
	for len(lines) > 0 {
		run := slices.IndexFunc(lines, func(l diffLine) bool { return l.kind == ' ' })
		if run < 0 {
			run = len(lines)
		}
		for _, kind := range []byte("-+") {
			for _, l := range lines[:run] {
				if l.kind == kind {
					write(l)
				}
			}
		}
		if lines = lines[run:]; len(lines) > 0 {
			write(lines[0])
			lines = lines[1:]
		}
	}
}

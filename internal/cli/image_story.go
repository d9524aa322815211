package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/imagecred"
)

// explainer tells the story of one image after another.
type explainer struct {
	out       *bufio.Writer
	providers []*imagecred.Provider
	// heads are the beginnings of each pattern's JSON, which are the same for
	// every image.
	heads [][]byte
	buf   []byte
	note  []byte
}

func newExplainer(configs []*imagecred.Config, out *bufio.Writer) *explainer {
	e := &explainer{out: out}
	for _, c := range configs {
		for i := range c.Providers {
			p := &c.Providers[i]
			e.providers = append(e.providers, p)
			for _, pattern := range p.MatchImages {
				e.heads = append(e.heads, []byte(`{"provider":`+jsonString(p.Name)+`,"file":`+jsonString(p.File)+`,"pattern":`+jsonString(pattern)))
			}
		}
	}
	return e
}

func jsonString(s string) string {
	b, _ := json.Marshal(s) // a string always can
	return string(b)
}

// json writes one object a line:
// {"image","repository","matches":[{"provider","file","pattern"}],"misses":[{...,"reason"}]}.
func (e *explainer) json(ref imagecred.Ref) error {
	target, err := imagecred.NewTarget(ref.Repository)
	if err != nil {
		return err
	}
	b := append(e.buf[:0], `{"image":`...)
	b = appendJSON(b, ref.Image)
	b = append(b, `,"repository":`...)
	b = appendJSON(b, ref.Repository)
	b = append(b, `,"matches":[`...)
	n, first := 0, true
	for _, p := range e.providers {
		for i := range p.Patterns {
			if p.Patterns[i].Match(&target) {
				if !first {
					b = append(b, ',')
				}
				first = false
				b = append(append(b, e.heads[n]...), '}')
			}
			n++
		}
	}
	b = append(b, `],"misses":[`...)
	n, first = 0, true
	for _, p := range e.providers {
		for i := range p.Patterns {
			e.note = p.Patterns[i].AppendReason(e.note[:0], &target)
			if len(e.note) > 0 {
				if !first {
					b = append(b, ',')
				}
				first = false
				b = append(append(b, e.heads[n]...), `,"reason":`...)
				b = append(appendJSON(b, e.note), '}')
			}
			n++
		}
	}
	b = append(b, "]}\n"...)
	e.buf = b
	_, err = e.out.Write(b)
	return err
}

// appendJSON appends s as a JSON string, fast where nothing but quotes is to be
// escaped.
func appendJSON[T string | []byte](dst []byte, s T) []byte {
	start := len(dst)
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c >= 0x7f:
			return append(dst[:start], jsonString(string(s))...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// text writes the story for a person.
func (e *explainer) text(ref imagecred.Ref) error {
	target, err := imagecred.NewTarget(ref.Repository)
	if err != nil {
		return err
	}
	fmt.Fprintln(e.out, oneLine(ref.Image))
	if ref.Image != ref.Repository {
		fmt.Fprintf(e.out, "  the kubelet compares %s\n", ref.Repository)
	}
	var asked []string
	for _, p := range e.providers {
		if p.Matches(&target) {
			asked = append(asked, p.Name)
		}
	}
	switch len(asked) {
	case 0:
		fmt.Fprintln(e.out, "  and asks no provider: the pull has only imagePullSecrets and the node's docker config")
	default:
		fmt.Fprintf(e.out, "  and asks %s\n", oneLine(strings.Join(asked, ", then ")))
	}
	for _, p := range e.providers {
		for i := range p.Patterns {
			mark, reason := "yes", ""
			if !p.Patterns[i].Match(&target) {
				mark, reason = "no", p.Patterns[i].Reason(&target)
			}
			fmt.Fprintf(e.out, "  %-3s  %s   (%s, %s)\n", mark, oneLine(p.MatchImages[i]), oneLine(p.Name), position(p, i))
			if reason != "" {
				fmt.Fprintf(e.out, "       %s\n", oneLine(reason))
			}
		}
	}
	return nil
}

// position is the place of a pattern, file:line.
func position(p *imagecred.Provider, pattern int) string {
	w := p.Where(fmt.Sprintf("matchImages[%d]", pattern))
	if w.Line == 0 {
		return w.File
	}
	return fmt.Sprintf("%s:%d", w.File, w.Line)
}

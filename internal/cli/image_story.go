package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/imagecred"
)

// batchSize is how many images are told at a time, side by side.
const batchSize = 256

// explainer tells the stories of images, in the order in which they are added.
type explainer struct {
	out       io.Writer
	providers []*imagecred.Provider
	// heads and tails are each pattern's part of a line that is the same for
	// every image: of JSON, and of text.
	heads, tails [][]byte
	tell         func(dst []byte, ref imagecred.Ref) []byte
	asJSON       bool
	batch        []imagecred.Ref
	buffers      [][]byte
}

func newExplainer(configs []*imagecred.Config, out io.Writer, format string) *explainer {
	e := &explainer{out: out, buffers: make([][]byte, max(runtime.GOMAXPROCS(0), 1))}
	for _, c := range configs {
		for i := range c.Providers {
			p := &c.Providers[i]
			e.providers = append(e.providers, p)
			for k, pattern := range p.MatchImages {
				e.heads = append(e.heads, []byte(`{"provider":`+jsonString(p.Name)+`,"file":`+jsonString(p.File)+`,"pattern":`+jsonString(pattern)))
				e.tails = append(e.tails, []byte(oneLine(fmt.Sprintf("%s   (%s, %s)", pattern, p.Name, position(p, k)))))
			}
		}
	}
	e.tell = e.text
	if format == "json" {
		e.tell, e.asJSON = e.json, true
	}
	return e
}

// add tells an image's story, at the latest when flush is called.
func (e *explainer) add(ref imagecred.Ref) error {
	e.batch = append(e.batch, ref)
	if len(e.batch) < batchSize {
		return nil
	}
	return e.flush()
}

// addStory tells an image's story with what became of its providers.
func (e *explainer) addStory(ref imagecred.Ref, s imagecred.Story, now time.Time) error {
	b := e.tell(nil, ref)
	if e.asJSON {
		b = append(b[:len(b)-len("}\n")], ',')
		more, err := json.Marshal(storyJSON(s))
		if err != nil {
			return err
		}
		b = append(append(b, more[1:]...), '\n')
	} else {
		for _, line := range runLines(s, now) {
			b = append(append(b, oneLine(line)...), '\n')
		}
	}
	if _, err := e.out.Write(b); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

func (e *explainer) flush() error {
	n := len(e.buffers)
	var wg sync.WaitGroup
	for w := range n {
		part := e.batch[len(e.batch)*w/n : len(e.batch)*(w+1)/n]
		wg.Go(func() {
			b := e.buffers[w][:0]
			for _, ref := range part {
				b = e.tell(b, ref)
			}
			e.buffers[w] = b
		})
	}
	wg.Wait()
	e.batch = e.batch[:0]
	for _, b := range e.buffers {
		if _, err := e.out.Write(b); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

func jsonString(s string) string {
	b, _ := json.Marshal(s) // a string always can
	return string(b)
}

// json appends one object and a line end:
// {"image","repository","matches":[{"provider","file","pattern"}],"misses":[{...,"reason"}]}.
func (e *explainer) json(b []byte, ref imagecred.Ref) []byte {
	target, _ := imagecred.NewTarget(ref.Repository) // what cannot be read matches nothing
	b = append(b, `{"image":`...)
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
	var scratch [256]byte
	reason := scratch[:0]
	for _, p := range e.providers {
		for i := range p.Patterns {
			reason = p.Patterns[i].AppendReason(reason[:0], &target)
			if len(reason) > 0 {
				if !first {
					b = append(b, ',')
				}
				first = false
				b = append(append(b, e.heads[n]...), `,"reason":`...)
				b = append(appendJSON(b, reason), '}')
			}
			n++
		}
	}
	return append(b, "]}\n"...)
}

// appendJSON appends s as a JSON string, fast where nothing but quotes is to be
// escaped.
func appendJSON[T string | []byte](dst []byte, s T) []byte {
	start := len(dst)
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			continue
		}
		if c < ' ' || c >= 0x7f {
			return append(dst[:start], jsonString(string(s))...)
		}
		dst = append(append(dst, s[from:i]...), '\\', c)
		from = i + 1
	}
	return append(append(dst, s[from:]...), '"')
}

// text appends the story for a person.
func (e *explainer) text(b []byte, ref imagecred.Ref) []byte {
	target, _ := imagecred.NewTarget(ref.Repository)
	b = append(append(b, oneLine(ref.Image)...), '\n')
	if ref.Image != ref.Repository {
		b = append(append(append(b, "  the kubelet compares "...), ref.Repository...), '\n')
	}
	var asked []string
	for _, p := range e.providers {
		if p.Matches(&target) {
			asked = append(asked, p.Name)
		}
	}
	if len(asked) == 0 {
		b = append(b, "  and asks no provider: the pull has only imagePullSecrets and the node's docker config\n"...)
	} else {
		b = append(append(append(b, "  and asks "...), oneLine(strings.Join(asked, ", then "))...), '\n')
	}
	n := 0
	var scratch [256]byte
	reason := scratch[:0]
	for _, p := range e.providers {
		for i := range p.Patterns {
			reason = p.Patterns[i].AppendReason(reason[:0], &target)
			if len(reason) == 0 {
				b = append(b, "  yes  "...)
			} else {
				b = append(b, "  no   "...)
			}
			b = append(append(b, e.tails[n]...), '\n')
			if len(reason) > 0 {
				b = append(append(append(b, "       "...), reason...), '\n')
			}
			n++
		}
	}
	return b
}

// position is the place of a pattern, file:line.
func position(p *imagecred.Provider, pattern int) string {
	w := p.Where(fmt.Sprintf("matchImages[%d]", pattern))
	if w.Line == 0 {
		return w.File
	}
	return fmt.Sprintf("%s:%d", w.File, w.Line)
}

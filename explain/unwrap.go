package explain

import (
	"unicode/utf8"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// A terminal, a chat or a page breaks long lines at its width, within words too.
// What was broken so is looked at a second time, put together again.

// The least and greatest width that a text may have been broken at.
const (
	leastWidth    = 60
	greatestWidth = 400
)

// begins tells that a line is no rest of the one before: it begins with a time,
// a level, a shell's prompt, or an item or key of YAML.
var begins = lazyexp.New(`^(\s|\d{4}-\d\d-\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:|[IWEF]\d{4} \d|[$#>] |- |[\w.-]+:( |$)|\{"|(time|level|ts)=)`)

// unwrap returns the text with its broken lines put together, and false where
// nothing looks broken.
func (t *Text) unwrap() (*Text, bool) {
	if t.Sampled || len(t.Lines) < 2 || t.Size > maxFlat {
		return nil, false
	}
	width := 0
	for _, l := range t.Lines {
		width = max(width, utf8.RuneCountInString(l))
	}
	if width < leastWidth || width > greatestWidth {
		return nil, false
	}
	out := *t
	out.Lines, out.numbers, out.width = nil, nil, width
	full, joined := false, false
	for i, l := range t.Lines {
		if full && l != "" && !begins().MatchString(l) {
			out.Lines[len(out.Lines)-1] += l
			joined = true
		} else {
			out.Lines = append(out.Lines, l)
			out.numbers = append(out.numbers, t.Number(i))
		}
		full = utf8.RuneCountInString(l) == width
	}
	return &out, joined
}

// unwrapped returns the texts with broken lines put together, and false where
// none has any.
func unwrapped(texts []*Text) ([]*Text, bool) {
	out, some := make([]*Text, len(texts)), false
	for i, t := range texts {
		out[i] = t
		if u, ok := t.unwrap(); ok {
			out[i], some = u, true
		}
	}
	return out, some
}

// better tells whether the second of two answers, that to the text put together,
// says as much: what a line break cut in two says less or something else.
func better(first, second Answer) bool {
	if len(second.Causes) == 0 {
		return false
	}
	if len(first.Causes) == 0 {
		return true
	}
	a, b := first.Causes[0], second.Causes[0]
	return b.Sure && (b.Score >= a.Score || !a.Sure)
}

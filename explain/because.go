package explain

import (
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// enoughCause is the weight from which a cause takes an error's place: what is
// only good to know has less.
const enoughCause = 3

// yield gives the signs of errors in which many causes end, such as a bare 401,
// to the weightiest cause that ends in it, and drops the error as a cause of its
// own: it says that something failed, and the other why.
func yield(causes []Cause) []Cause {
	ends := map[string][]string{}
	for i := range rules() {
		if r := &rules()[i]; len(r.Because) > 0 {
			ends[r.ID] = r.Because
		}
	}
	drop := make([]bool, len(causes))
	for i := range causes {
		because := ends[causes[i].Rule]
		if because == nil {
			continue
		}
		best := -1
		for k := range causes {
			c := &causes[k]
			if k == i || ends[c.Rule] != nil || c.Score < enoughCause || !named(because, c.Finding.Code) {
				continue
			}
			if best < 0 || c.Score > causes[best].Score {
				best = k
			}
		}
		if best < 0 {
			continue
		}
		c, error := &causes[best], &causes[i]
		c.Signs = append(c.Signs, error.Signs...)
		c.weigh()
		if len(c.Finding.Details) <= maxDetails {
			c.Finding.Details = append(slices.Clone(c.Finding.Details), error.Finding.Details...)
		}
		drop[i] = true
	}
	out := causes[:0]
	for i := range causes {
		if !drop[i] {
			out = append(out, causes[i])
		}
	}
	return out
}

// named tells whether the list names the code, by itself or between two others.
func named(list []string, code string) bool {
	return slices.ContainsFunc(list, func(b string) bool {
		from, to, ranged := strings.Cut(b, "-")
		return b == code || ranged && from <= code && code <= to
	})
}

// answered are the words of an API server that refused a request: then the
// client read its configuration, ran the plugin and understood it.
var answered = &pattern{
	re:       lazyexp.New(`(?i)you must be logged in to the server|asked for the client to provide credentials|Error from server \(Forbidden\)`),
	literals: []string{"you must be logged in to the server", "asked for the client to provide credentials", "error from server (forbidden)"},
}

// beforeAnswer are the causes that keep a client from asking at all.
var beforeAnswer = []string{"KC101-KC107", "KC109", "KC111", "KC119-KC129", "KC141", "KC143"}

// refute makes notes of the flaws of a file that cannot be why: a server that
// answers has been asked.
func (e *evidence) refute(causes []Cause) {
	if _, ok := e.match(answered); !ok {
		return
	}
	for i := range causes {
		c := &causes[i]
		said := slices.ContainsFunc(c.Signs, func(s Sign) bool { return s.said && s.Weight > 2 })
		if !said && named(beforeAnswer, c.Finding.Code) && c.Score > weightInfo {
			c.Score, c.Sure = weightInfo, false
		}
	}
}

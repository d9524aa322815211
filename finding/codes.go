package finding

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Code is what is known of a code, whatever input shows it. A code never
// changes its meaning, and the code of a check that is gone is not used again.
type Code struct {
	Code     string   `json:"code"`
	Road     Road     `json:"road"`
	Severity Severity `json:"severity"` // the default; a finding may be milder or worse
	// Title is a line, Explanation and Mending are a paragraph or more.
	Title       string   `json:"title"`
	Explanation string   `json:"explanation"`
	Mending     string   `json:"mending"`
	Sources     []string `json:"sources"`
	// Messages are the error texts by which people meet the fault.
	Messages []Message `json:"messages,omitempty"`
}

// Message is an error text that a program prints when it meets the fault.
type Message struct {
	// Text is an example, verbatim.
	Text string `json:"text"`
	// Pattern is a regular expression (RE2) that finds the text in a line.
	Pattern string `json:"pattern"`
	// From says which program and file the text is from.
	From string `json:"from"`
}

//go:embed codes/*.json
var codeFiles embed.FS

type catalogue struct {
	codes  []Code
	byCode map[string]int
}

type messageMatch struct {
	re   *regexp.Regexp
	code int
}

var load = sync.OnceValue(func() catalogue {
	c, err := readCodes(codeFiles)
	if err != nil {
		panic(err) // the data is part of the program and tested
	}
	return c
})

var compiled = sync.OnceValue(func() []messageMatch {
	var out []messageMatch
	for i, c := range load().codes {
		for _, m := range c.Messages {
			out = append(out, messageMatch{regexp.MustCompile(m.Pattern), i})
		}
	}
	return out
})

func readCodes(files fs.FS) (catalogue, error) {
	c := catalogue{byCode: map[string]int{}}
	names, err := fs.Glob(files, "codes/*.json")
	if err != nil {
		return c, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return c, err
		}
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.DisallowUnknownFields()
		var codes []Code
		if err := dec.Decode(&codes); err != nil {
			return c, fmt.Errorf("finding: %s: %w", name, err)
		}
		c.codes = append(c.codes, codes...)
	}
	slices.SortFunc(c.codes, func(a, b Code) int { return strings.Compare(a.Code, b.Code) })
	for i, code := range c.codes {
		if _, dup := c.byCode[code.Code]; dup {
			return c, fmt.Errorf("finding: code %s is defined twice", code.Code)
		}
		c.byCode[code.Code] = i
	}
	return c, nil
}

// Codes returns every code, in order.
func Codes() []Code { return slices.Clone(load().codes) }

// Lookup returns what is known of a code such as "KC101"; case does not matter.
func Lookup(code string) (Code, bool) {
	c := load()
	i, ok := c.byCode[strings.ToUpper(code)]
	if !ok {
		return Code{}, false
	}
	return c.codes[i], true
}

// Match returns the codes whose messages stand in the text, in the order of
// the data, each once.
func Match(text string) []Code {
	var out []Code
	last := -1
	for _, m := range compiled() {
		if m.code != last && m.re.MatchString(text) {
			out = append(out, load().codes[m.code])
			last = m.code
		}
	}
	return out
}

package finding

import (
	"bytes"
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

type messageMatch struct {
	re   *regexp.Regexp
	code int
}

var load = sync.OnceValue(func() []Code {
	codes, err := readCodes(codeFiles)
	if err != nil {
		panic(err) // the data is part of the program and tested
	}
	return codes
})

// entries holds for each code what reads it. A command has use for a few codes, and
// to read them all takes longer than most commands do.
var entries = sync.OnceValue(func() map[string]func() Code {
	out := map[string]func() Code{}
	names, _ := fs.Glob(codeFiles, "codes/*.json")
	for _, name := range names {
		data, _ := codeFiles.ReadFile(name)
		for {
			before, rest, ok := bytes.Cut(data, []byte(`"code": "`)) // the first key of an entry
			if !ok {
				break
			}
			entry := data[bytes.LastIndexByte(before, '{'):]
			code, _, _ := bytes.Cut(rest, []byte(`"`))
			out[string(code)] = sync.OnceValue(func() (c Code) {
				if err := json.NewDecoder(bytes.NewReader(entry)).Decode(&c); err != nil {
					panic(fmt.Errorf("finding: %s: %w", code, err)) // as above
				}
				return c
			})
			data = rest
		}
	}
	return out
})

var compiled = sync.OnceValue(func() []messageMatch {
	var out []messageMatch
	for i, c := range load() {
		for _, m := range c.Messages {
			out = append(out, messageMatch{regexp.MustCompile(m.Pattern), i})
		}
	}
	return out
})

func readCodes(files fs.FS) ([]Code, error) {
	var out []Code
	names, err := fs.Glob(files, "codes/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		var codes []Code
		if err := dec.Decode(&codes); err != nil {
			return nil, fmt.Errorf("finding: %s: %w", name, err)
		}
		out = append(out, codes...)
	}
	slices.SortFunc(out, func(a, b Code) int { return strings.Compare(a.Code, b.Code) })
	for i := 1; i < len(out); i++ {
		if out[i].Code == out[i-1].Code {
			return nil, fmt.Errorf("finding: code %s is defined twice", out[i].Code)
		}
	}
	return out, nil
}

// Codes returns every code, in order.
func Codes() []Code { return slices.Clone(load()) }

// Lookup returns what is known of a code such as "KC101"; case does not matter.
func Lookup(code string) (Code, bool) {
	read, ok := entries()[strings.ToUpper(code)]
	if !ok {
		return Code{}, false
	}
	return read(), true
}

// Match returns the codes whose messages stand in the text, in the order of
// the data, each once.
func Match(text string) []Code {
	var out []Code
	last := -1
	for _, m := range compiled() {
		if m.code != last && m.re.MatchString(text) {
			out = append(out, load()[m.code])
			last = m.code
		}
	}
	return out
}

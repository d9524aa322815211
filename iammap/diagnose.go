package iammap

import (
	"regexp"
	"strings"
	"sync"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// cause is what a person did to a YAML text that does not parse.
type cause struct {
	line, column int
	text, fix    string
}

// slip is what breaks YAML, why, and what mends it.
type slip struct {
	re        *regexp.Regexp
	text, fix string
}

// slips are the slips of the hand that break YAML, in the order in which they
// are looked for. Each pattern's first group is where the slip is.
var slips = sync.OnceValue(func() []slip {
	return []slip{
		{regexp.MustCompile(`^ *(\t)`), "a tab in the indentation: YAML indents with spaces only", "Replace the tab by spaces."},
		{regexp.MustCompile(`^((?:<{7}|={7}|>{7})(?: .*)?)$`), "a merge conflict marker", "Resolve the merge conflict."},
		{regexp.MustCompile(`^\s*(-)["']?[A-Za-z_]+["']?\s*:`), "a dash without a space after it, so the line is no list entry", "Put a space between the dash and the key."},
		{regexp.MustCompile(`(?:^|:\s+|-\s+)(\{\{)`), "an unquoted template: a value that begins with {{ is a YAML mapping", `Put the value in quotes: "{{...}}".`},
		{regexp.MustCompile(`^\s*(?:- +)?(?i:rolearn|userarn|username|groups|sso|arn)(:)[^\s/]`), "no space after the colon, so the line is no key with a value", "Put a space after the colon."},
		{regexp.MustCompile(`^\s*(?:- +)?[A-Za-z]+:\s+([@` + "`" + `%])`), "a value that begins with a character which YAML keeps for itself", "Put the value in quotes."},
		{regexp.MustCompile(`:\s+("[^"]*)$`), "a quote that is not closed on its line", "Close the quote."},
		{regexp.MustCompile(`:\s+('[^']*)$`), "a quote that is not closed on its line", "Close the quote."},
		{regexp.MustCompile(`^\s*(?:- +)?(?i:rolearn|userarn|username|groups|sso|arn)(\s*=)`), "an equals sign where YAML wants a colon", "Write a colon and a space instead of the equals sign."},
	}
})

// diagnose looks for the slip that keeps a text from parsing.
func diagnose(lines []string) (cause, bool) {
	for _, s := range slips() {
		for i, l := range lines {
			if comment(l) {
				continue
			}
			if m := s.re.FindStringSubmatchIndex(l); m != nil {
				return cause{i + 1, len([]rune(l[:m[2]])) + 1, s.text, s.fix}, true
			}
		}
	}
	return misaligned(lines)
}

func comment(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#") }

var keyLine = lazyexp.New(`^( *)(- +)?["']?[A-Za-z]+["']?:(?:\s|$)`)

// misaligned finds the first key of a list entry that is not under the entry's
// first key, and the first entry whose dash is not under the dash before it.
func misaligned(lines []string) (cause, bool) {
	dash, key := -1, -1
	for i, l := range lines {
		m := keyLine().FindStringSubmatch(l)
		if m == nil || comment(l) {
			continue
		}
		indent := len(m[1])
		if m[2] != "" {
			if dash >= 0 && indent != dash {
				return cause{i + 1, indent + 1, "an entry whose dash is not under the dash of the entry before it", "Align the dashes of the list."}, true
			}
			dash, key = indent, indent+len(m[2])
			continue
		}
		if key >= 0 && indent != key {
			return cause{i + 1, indent + 1, "a key that is not under the first key of its entry", "Align the keys of the entry."}, true
		}
	}
	return cause{}, false
}

var arnLike = lazyexp.New(`arn:[A-Za-z0-9-]*:[^\s"',\[\]{}]+`)

// buried notes the ARNs of a text that does not parse, so that a question for
// one of them is answered with the place.
func (r *reader) buried(lines []string, reason string) {
	for i, l := range lines {
		if comment(l) {
			continue
		}
		if m := arnLike().FindStringIndex(l); m != nil {
			r.src.dead(l[m[0]:m[1]], reason, r.at(i+1, len([]rune(l[:m[0]]))+1))
		}
	}
}

// unreadable notes that a text does not parse, and why as far as that shows.
func (r *reader) unreadable(what string, lines []string, err error) {
	e := parseYAMLError(err)
	p := r.at(max(e.line, 1), 1)
	message := what + " is not valid YAML, so none of its entries counts: " + e.text
	fix := "Repair the text; a parser of YAML must accept it on its own."
	if c, ok := diagnose(lines); ok {
		p = r.at(c.line, c.column)
		message = what + " is not valid YAML, so none of its entries counts: " + c.text
		fix = c.fix
	}
	f := r.src.fault("KC404", what, message, p)
	f.Fatal = true
	f.Fix.Summary = fix
	f.Details = []string{"the parser says: " + err.Error()}
	r.buried(lines, "YAML: "+what+" does not parse, so none of its entries counts")
}

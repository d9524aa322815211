package explain

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// rule is a cause as data. Its texts may hold {fact.key}, which is replaced by
// the fact's first value.
type rule struct {
	ID   string `yaml:"id"`
	Code string `yaml:"code"`
	// Cause is the message; where it is empty the code's title speaks.
	Cause   string `yaml:"cause"`
	Subject string `yaml:"subject"`
	// Why adds details, one idea a line.
	Why      []string         `yaml:"why"`
	Severity finding.Severity `yaml:"severity"`
	// Fix replaces the code's mending, Command is what does it.
	Fix     string `yaml:"fix"`
	Command string `yaml:"command"`
	Stopgap string `yaml:"stopgap"`
	// When must all hold. Also may hold, and then weighs.
	When []cond `yaml:"when"`
	Also []cond `yaml:"also"`
	// Tell is how to find out whether it is this cause or another.
	Tell string `yaml:"tell"`
	// Versions says for which versions it holds.
	Versions string `yaml:"versions"`
	// Over names rules or codes that this one makes superfluous.
	Over []string `yaml:"over"`
	// Trap marks an error that is not about what it seems to be about.
	Trap bool `yaml:"trap"`
	// Weak marks a rule whose signs alone are never enough to act on.
	Weak bool `yaml:"weak"`
	// Because marks an error in which many causes end: codes, or two with a dash
	// between for all from one to the other. Where one of them holds, that is the
	// cause, and this rule's signs speak for it.
	Because []string `yaml:"because"`
}

// cond is one condition. Exactly one of its fields is set, besides Weight.
type cond struct {
	// Text is a regular expression (RE2, case does not matter) on a line of
	// the inputs, with quotes that were escaped made plain.
	Text string `yaml:"text"`
	// Message holds where one of the code's own messages stands in the inputs.
	Message string `yaml:"message"`
	// Fact is "key", "key=value", "key~expression", "key<1.24" or "key>=1.24".
	Fact string `yaml:"fact"`
	// Finding is the code of a road's own check.
	Finding string `yaml:"finding"`
	Any     []cond `yaml:"any"`
	All     []cond `yaml:"all"`
	Not     *cond  `yaml:"not"`
	// Weight replaces the weight that the kind of condition has by itself.
	Weight *int `yaml:"weight"`

	pattern *pattern
	test    *factTest
}

// pattern is a regular expression and literals, in lower case, of which one
// stands in every match; none where there is no such set. Most inputs hold few of
// the literals, so most expressions are never made.
type pattern struct {
	re       func() *regexp.Regexp
	literals []string
	// message says that it is an error text of a code, which means something
	// else in the mouth of a foreign program.
	message bool
}

type factTest struct {
	key, op, value string
	re             *regexp.Regexp
	version        version
}

//go:embed rules/*.yaml
var ruleFiles embed.FS

var rules = sync.OnceValue(func() []rule {
	rs, err := readRules(ruleFiles)
	if err != nil {
		panic(err) // the data is part of the program and tested
	}
	return rs
})

func readRules(files fs.FS) ([]rule, error) {
	var out []rule
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		dec := yaml.NewDecoder(strings.NewReader(string(data)))
		dec.KnownFields(true)
		var rs []rule
		if err := dec.Decode(&rs); err != nil {
			return nil, fmt.Errorf("explain: %s: %w", name, err)
		}
		for i := range rs {
			r := &rs[i]
			if ids[r.ID] || r.ID == "" {
				return nil, fmt.Errorf("explain: %s: rule %q has no name of its own", name, r.ID)
			}
			ids[r.ID] = true
			if _, ok := finding.Lookup(r.Code); !ok {
				return nil, fmt.Errorf("explain: rule %s: unknown code %q", r.ID, r.Code)
			}
			for _, list := range [][]cond{r.When, r.Also} {
				for j := range list {
					if err := list[j].compile(); err != nil {
						return nil, fmt.Errorf("explain: rule %s: %w", r.ID, err)
					}
				}
			}
			if len(r.When) == 0 {
				return nil, fmt.Errorf("explain: rule %s has no condition", r.ID)
			}
			for _, b := range r.Because {
				from, to, _ := strings.Cut(b, "-")
				if len(from) != 5 || to != "" && (len(to) != 5 || to < from) {
					return nil, fmt.Errorf("explain: rule %s: because %q: want a code, or two with a dash between", r.ID, b)
				}
			}
		}
		out = append(out, rs...)
	}
	return out, nil
}

func (c *cond) compile() error {
	set := 0
	for _, on := range []bool{c.Text != "", c.Message != "", c.Fact != "", c.Finding != "", c.Any != nil, c.All != nil, c.Not != nil} {
		if on {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("a condition sets %d of text, message, fact, finding, any, all, not", set)
	}
	switch {
	case c.Text != "":
		p, err := newPattern(c.Text)
		if err != nil {
			return err
		}
		c.pattern = p
	case c.Fact != "":
		t, err := newFactTest(c.Fact)
		if err != nil {
			return err
		}
		c.test = t
	case c.Message != "":
		if code, ok := finding.Lookup(c.Message); !ok || len(code.Messages) == 0 {
			return fmt.Errorf("code %s has no messages", c.Message)
		}
	case c.Finding != "":
		if _, ok := finding.Lookup(c.Finding); !ok {
			return fmt.Errorf("unknown code %s", c.Finding)
		}
	case c.Not != nil:
		return c.Not.compile()
	}
	for _, list := range [][]cond{c.Any, c.All} {
		for i := range list {
			if err := list[i].compile(); err != nil {
				return err
			}
		}
	}
	return nil
}

func newPattern(expr string) (*pattern, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	p := &pattern{re: lazyexp.New(`(?i)` + expr)}
	for _, l := range required(tree) {
		p.literals = append(p.literals, strings.ToLower(l))
	}
	return p, nil
}

// maxLiterals bounds the literals of one pattern.
const maxLiterals = 24

// required returns literals of which every match of the tree holds one, nil
// where it has none.
func required(n *syntax.Regexp) []string {
	switch n.Op {
	case syntax.OpLiteral:
		return []string{string(n.Rune)}
	case syntax.OpCapture, syntax.OpPlus:
		return required(n.Sub[0])
	case syntax.OpRepeat:
		if n.Min > 0 {
			return required(n.Sub[0])
		}
	case syntax.OpAlternate:
		var all []string
		for _, s := range n.Sub {
			one := required(s)
			if one == nil {
				return nil
			}
			all = append(all, one...)
		}
		if len(all) <= maxLiterals {
			return all
		}
	case syntax.OpConcat:
		var best []string
		for _, s := range n.Sub {
			if one := required(s); shortest(one) > shortest(best) {
				best = one
			}
		}
		return best
	}
	return nil
}

func shortest(list []string) int {
	if len(list) == 0 {
		return 0
	}
	n := len(list[0])
	for _, s := range list {
		n = min(n, len(s))
	}
	return n
}

var factShape = lazyexp.New(`^([A-Za-z][A-Za-z0-9._-]*)(?:(=|~|<|>=)(.+))?$`)

func newFactTest(s string) (*factTest, error) {
	m := factShape().FindStringSubmatch(s)
	if m == nil {
		return nil, fmt.Errorf("fact %q: want key, key=value, key~expression, key<version or key>=version", s)
	}
	t := &factTest{key: m[1], op: m[2], value: m[3]}
	var err error
	switch t.op {
	case "~":
		t.re, err = regexp.Compile(`(?i)` + t.value)
	case "<", ">=":
		var ok bool
		if t.version, ok = parseVersion(t.value); !ok {
			err = fmt.Errorf("fact %q: no version", s)
		}
	}
	return t, err
}

func (t *factTest) holds(value string) bool {
	switch t.op {
	case "":
		return true
	case "=":
		return strings.EqualFold(value, t.value)
	case "~":
		return t.re.MatchString(value)
	}
	v, ok := parseVersion(value)
	return ok && (v.compare(t.version) < 0) == (t.op == "<")
}

// marks are the literals of all rules and messages, by which a large log is
// sampled.
var marks = sync.OnceValue(func() *matcher {
	words := map[string]bool{"seconds after warning threshold": true}
	var walk func([]cond)
	walk = func(list []cond) {
		for _, c := range list {
			if c.pattern != nil && shortest(c.pattern.literals) >= 8 {
				for _, l := range c.pattern.literals {
					words[l] = true
				}
			}
			walk(c.Any)
			walk(c.All)
		}
	}
	for _, r := range rules() {
		walk(r.When)
		walk(r.Also)
	}
	for _, m := range messages() {
		if shortest(m.pattern.literals) >= 8 {
			for _, l := range m.pattern.literals {
				words[l] = true
			}
		}
	}
	list := make([]string, 0, len(words))
	for w := range words {
		list = append(list, w)
	}
	slices.Sort(list)
	return newMatcher(list)
})

// message is an error text of a code.
type message struct {
	code    finding.Code
	index   int
	pattern *pattern
}

var messages = sync.OnceValue(func() []message {
	var out []message
	for _, c := range finding.Codes() {
		for i, m := range c.Messages {
			p, err := newPattern(m.Pattern)
			if err != nil {
				panic(err) // tested with the codes
			}
			p.message = true
			out = append(out, message{c, i, p})
		}
	}
	return out
})

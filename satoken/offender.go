package satoken

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Offender is a program or client library that is known not to read its token
// again, up to some version.
type Offender struct {
	Name string `json:"name"`
	// FixedIn is the first version that reads the token again, "" if there is none.
	FixedIn string `json:"fixedIn"`
	// Why is what it does, in a sentence without its name.
	Why string `json:"why"`
	// Instead is what to use or to do where no version mends it, or beside it.
	Instead string `json:"instead,omitempty"`
	// UserAgent and Account are regular expressions; one that is set must match.
	// A group of UserAgent is a version, and it must be below FixedIn.
	UserAgent string `json:"userAgent,omitempty"`
	Account   string `json:"account,omitempty"`
	// Sources say where this is from.
	Sources []string `json:"sources"`
}

//go:embed offenders.json
var offenderData []byte

type matcher struct {
	Offender
	agent, account *regexp.Regexp
}

var offenders = sync.OnceValue(func() []matcher {
	var list []Offender
	if err := json.Unmarshal(offenderData, &list); err != nil {
		panic(err) // the data is part of the program and tested
	}
	out := make([]matcher, len(list))
	for i, o := range list {
		out[i] = matcher{Offender: o}
		if o.UserAgent != "" {
			out[i].agent = regexp.MustCompile(o.UserAgent)
		}
		if o.Account != "" {
			out[i].account = regexp.MustCompile(o.Account)
		}
	}
	return out
})

// Offenders returns what is known, in the order in which it is looked up: the
// program before the library that it uses.
func Offenders() []Offender {
	var out []Offender
	for _, m := range offenders() {
		out = append(out, m.Offender)
	}
	return out
}

// FindOffender returns the first known offender that the account, "NS/NAME",
// and one of the clients match, or nil.
func FindOffender(account string, clients []Client) *Offender {
	_, name, _ := strings.Cut(account, "/")
	for i, m := range offenders() {
		if m.account != nil && !m.account.MatchString(name) {
			continue
		}
		if m.agent == nil || matchesAgent(m, clients) {
			return &offenders()[i].Offender
		}
	}
	return nil
}

func matchesAgent(m matcher, clients []Client) bool {
	for _, c := range clients {
		g := m.agent.FindStringSubmatch(c.UserAgent)
		if g == nil {
			continue
		}
		if len(g) < 2 || g[1] == "" || m.FixedIn == "" || versionBelow(g[1], m.FixedIn) {
			return true
		}
	}
	return false
}

// versionBelow compares dotted numbers; what is no number counts as 0.
func versionBelow(a, b string) bool {
	x, y := strings.Split(strings.TrimPrefix(a, "v"), "."), strings.Split(strings.TrimPrefix(b, "v"), ".")
	for i := range max(len(x), len(y)) {
		p, q := part(x, i), part(y, i)
		if p != q {
			return p < q
		}
	}
	return false
}

func part(v []string, i int) int {
	if i >= len(v) {
		return 0
	}
	s := v[i]
	if k := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); k >= 0 {
		s = s[:k]
	}
	n, _ := strconv.Atoi(s)
	return n
}

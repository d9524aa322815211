package iammap

import (
	"cmp"
	"slices"
	"strings"
)

// Identity is a principal as STS knows it.
type Identity struct {
	// ARN is what STS answers; Canonical is what Canonical makes of it.
	ARN, Canonical string
	Account        string
	// UserID is the unique id of the user or role (AROA..., AIDA...).
	UserID string
	// Session is the name of an assumed role's session, "" for others.
	Session     string
	AccessKeyID string
}

// Match is the entry that counts for an identity.
type Match struct {
	Source *Source
	Entry  *Entry
}

// Table is a list of sources ready for look-ups. It does not change, so any
// number of goroutines may use one; a changed source is a new Table.
type Table struct {
	parts []part
}

type part struct {
	src      *Source
	strict   bool // keyed by the principal's id
	reserved []string
	exact    map[string]int32 // lower-case ARN, or id, to entry
	patterns []int32          // the longest first
	accounts map[string]int32
}

// NewTable puts sources in order: the first one that maps an identity answers.
// Prefixes that one source reserves for a format hold for all of that format.
func NewTable(sources ...*Source) *Table {
	reserved := map[Format][]string{}
	strict := false
	for _, s := range sources {
		for format, prefixes := range s.Reserved {
			reserved[format] = append(reserved[format], prefixes...)
		}
		strict = strict || s.UserIDStrict
	}
	t := &Table{parts: make([]part, 0, len(sources))}
	for _, s := range sources {
		t.parts = append(t.parts, newPart(s, strict && s.Format == DynamicFile, reserved[s.Format]))
	}
	return t
}

func newPart(s *Source, strict bool, reserved []string) part {
	p := part{
		src: s, strict: strict, reserved: reserved,
		exact: make(map[string]int32, len(s.Entries)), accounts: map[string]int32{},
	}
	// Users first: a role with the same key then takes their place, and of two
	// with one key the later one does.
	for _, kind := range []EntryKind{ByUser, ByRole} {
		for i := range s.Entries {
			e := &s.Entries[i]
			if e.Kind != kind {
				continue
			}
			key := e.Key
			if strict {
				key = e.UserID
			}
			if key != "" {
				p.exact[key] = int32(i)
			}
		}
	}
	for i := range s.Entries {
		switch e := &s.Entries[i]; e.Kind {
		case BySSO, ByPattern:
			p.patterns = append(p.patterns, int32(i))
		case ByAccount:
			p.accounts[e.Key] = int32(i)
		}
	}
	slices.SortStableFunc(p.patterns, func(a, b int32) int {
		return cmp.Or(
			cmp.Compare(literals(s.Entries[b].Key), literals(s.Entries[a].Key)),
			cmp.Compare(b, a), // of two alike the last one
		)
	})
	return p
}

// literals counts the characters of a pattern that stand for themselves.
func literals(pattern string) int {
	return len(pattern) - strings.Count(pattern, "*") - strings.Count(pattern, "?")
}

// Sources returns the sources in their order.
func (t *Table) Sources() []*Source {
	out := make([]*Source, len(t.parts))
	for i := range t.parts {
		out[i] = t.parts[i].src
	}
	return out
}

// Len returns the number of entries that can match.
func (t *Table) Len() int {
	n := 0
	for i := range t.parts {
		p := &t.parts[i]
		n += len(p.exact) + len(p.patterns) + len(p.accounts)
	}
	return n
}

// Lookup returns the entry that counts for an identity.
func (t *Table) Lookup(id Identity) (Match, bool) {
	canonical := strings.ToLower(id.Canonical)
	for i := range t.parts {
		p := &t.parts[i]
		if e := p.lookup(canonical, id); e != nil {
			return Match{p.src, e}, true
		}
	}
	return Match{}, false
}

func (p *part) lookup(canonical string, id Identity) *Entry {
	key := canonical
	if p.strict {
		key = id.UserID
	}
	if key != "" {
		if i, ok := p.exact[key]; ok && (!p.strict || p.agrees(&p.src.Entries[i], canonical)) {
			return &p.src.Entries[i]
		}
	}
	for _, i := range p.patterns {
		if e := &p.src.Entries[i]; matches(e, canonical) {
			return e
		}
	}
	if len(p.accounts) > 0 {
		if i, ok := p.accounts[id.Account]; ok {
			return &p.src.Entries[i]
		}
	}
	return nil
}

// agrees tells whether the ARN of an entry that was found by the principal's
// id fits as well; its path is left out for that (pkg/mapper/dynamicfile).
func (p *part) agrees(e *Entry, canonical string) bool {
	if e.ARN == "" {
		return true
	}
	a, err := ParseARN(strings.ToLower(e.ARN))
	return err == nil && a.withoutPath().String() == canonical
}

// matches tells whether a pattern entry takes a canonical ARN. The suffix of a
// permission set's role has no underscore, so that the set View does not take
// the roles of the set View_Only.
func matches(e *Entry, canonical string) bool {
	if !Like(e.Key, canonical) {
		return false
	}
	if e.Kind == BySSO {
		suffix := canonical[len(e.Key)-1:]
		return suffix != "" && !strings.Contains(suffix, "_")
	}
	return true
}

// reservedFor returns the prefixes that user names of a source must not have.
func (t *Table) reservedFor(s *Source) []string {
	for i := range t.parts {
		if t.parts[i].src == s {
			return t.parts[i].reserved
		}
	}
	return nil
}

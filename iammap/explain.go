package iammap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// Explanation is the answer to "who would this be, and why not?".
type Explanation struct {
	ARN       string
	Canonical string
	Kind      Kind
	Session   string
	Mapped    bool
	User      ClusterUser
	Match     Match // its Entry is nil where nothing matches
	// Refused says why an identity with a matching entry is refused.
	Refused    string
	NearMisses []NearMiss
	// Notes are facts worth a line, in plain words.
	Notes []string
}

// NearMiss is an entry that does not count and nearly does.
type NearMiss struct {
	ARN  string `json:"arn"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Reason begins with the word for the difference: path, partition,
	// account, spelling, kind, case or YAML; two are joined by "and".
	Reason string `json:"reason"`
}

// Question is what Explain is asked.
type Question struct {
	ARN     string
	Session string // used where the ARN names none
	UserID  string // for sources that match by the principal's id
}

// Explain finds who an ARN is and what nearly matched. The error is for an ARN
// that is none.
func (t *Table) Explain(q Question) (Explanation, error) {
	id, x, err := ask(q)
	if err != nil {
		return Explanation{}, err
	}
	if m, ok := t.Lookup(id); ok {
		x.Match = m
		x.resolve(t, id)
		t.duplicates(&x)
	}
	if !x.Mapped || x.Match.Entry.Kind == ByAccount {
		x.NearMisses = t.nearMisses(x)
	}
	return x, nil
}

// ask turns a question into the identity that STS would name.
func ask(q Question) (Identity, Explanation, error) {
	arn := strings.TrimSpace(q.ARN)
	x := Explanation{ARN: arn, Session: q.Session, NearMisses: []NearMiss{}}
	a, err := ParseARN(arn)
	if err != nil {
		return Identity{}, x, err
	}
	if a.Service == "sts" && a.kindOf() == string(AssumedRole) && strings.Count(a.Resource, "/") == 1 {
		a.Resource += "/" + orElse(q.Session, "session") // no session in the ARN
		x.Session = q.Session
	} else if s := sessionOf(a); s != "" {
		x.Session = s
	}
	kind, canonical, err := Canonical(a.String())
	if err != nil {
		return Identity{}, x, err
	}
	c, err := ParseARN(canonical)
	if err != nil {
		return Identity{}, x, err
	}
	if c.kindOf() == string(Role) && c.path() != "" {
		x.Notes = append(x.Notes, fmt.Sprintf("STS leaves the path %q of a role out: mappings see %s", c.path(), c.withoutPath()))
		c = c.withoutPath()
	}
	x.Canonical, x.Kind = c.String(), kind
	return Identity{ARN: arn, Canonical: x.Canonical, Account: c.Account, UserID: q.UserID, Session: x.Session}, x, nil
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// resolve renders the match. What is not known without the cluster stays a
// template, and a note says so.
func (x *Explanation) resolve(t *Table, id Identity) {
	e := x.Match.Entry
	if e.Kind == ByAccount {
		x.Mapped, x.User = true, ClusterUser{id.Canonical, []string{}}
		x.Notes = append(x.Notes, fmt.Sprintf("only the whole account %s is mapped: the ARN is the user name, and there are no groups", e.Key))
		return
	}
	values := map[string]string{"AccountID": id.Account}
	if x.Session != "" {
		values["SessionName"] = strings.ReplaceAll(x.Session, "@", "-")
		values["SessionNameRaw"] = x.Session
	}
	x.User, x.Mapped = e.user(values), true
	switch {
	case wantsInstance(e) && x.Session != "" && !instanceID().MatchString(x.Session):
		x.Mapped, x.Refused = false, fmt.Sprintf("%v (it is %q)", ErrNoInstance, x.Session)
	case wantsInstance(e):
		x.Notes = append(x.Notes, "{{EC2PrivateDNSName}} is looked up at EC2 when the token is used")
	case x.Session == "" && strings.Contains(x.User.Username+strings.Join(x.User.Groups, ""), "{{SessionName"):
		x.Notes = append(x.Notes, "the session's name is part of the answer: give it with --session, or ask for the assumed-role ARN")
	}
	if err := t.permit(x.Match.Source, x.User); errors.Is(err, ErrReserved) {
		x.Mapped, x.Refused = false, err.Error()
	}
	if x.User.Username == "" {
		x.Notes = append(x.Notes, "the entry has no username, so the user has no name")
	}
	for _, p := range e.Policies {
		x.Notes = append(x.Notes, "access policy "+p.String()+" gives rights that no group shows")
	}
}

func (p Policy) String() string {
	name := p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
	if len(p.Namespaces) > 0 {
		return name + " in namespaces " + strings.Join(p.Namespaces, ", ")
	}
	return name + " on the cluster"
}

// duplicates notes other entries for the same ARN.
func (t *Table) duplicates(x *Explanation) {
	m := x.Match
	if m.Entry.Kind != ByRole && m.Entry.Kind != ByUser {
		return
	}
	for i := range t.parts {
		s := t.parts[i].src
		for j := range s.Entries {
			e := &s.Entries[j]
			if e == m.Entry || e.Key != m.Entry.Key || e.Key == "" {
				continue
			}
			why := "the last one of a source counts alone"
			if s != m.Source {
				why = "the first source that maps an ARN answers alone"
			}
			x.Notes = append(x.Notes, fmt.Sprintf("duplicate: %s:%d maps the same ARN (%s); %s, and groups are not merged", s.Name, e.Pos.Line, brief(e), why))
		}
	}
}

func brief(e *Entry) string {
	name := "user " + e.Username
	if e.Username == "" {
		name = "no username"
	}
	if len(e.Groups) == 0 {
		return name + ", no groups"
	}
	return name + ", groups " + strings.Join(e.Groups, ", ")
}

// nearMisses holds every entry against the canonical ARN, the nearest first.
func (t *Table) nearMisses(x Explanation) []NearMiss {
	want, err := ParseARN(x.Canonical)
	if err != nil {
		return nil
	}
	type ranked struct {
		NearMiss
		rank int
	}
	var found []ranked
	for i := range t.parts {
		s := t.parts[i].src
		for j := range s.Entries {
			e := &s.Entries[j]
			if e == x.Match.Entry || e.Kind == ByAccount {
				continue
			}
			if reason, rank := compare(e, want, &t.parts[i]); rank > 0 {
				found = append(found, ranked{NearMiss{e.ARN, s.Name, e.ARNPos.Line, reason}, rank})
			}
		}
		for _, d := range s.Dead {
			if strings.EqualFold(bare(d.ARN), x.Canonical) {
				found = append(found, ranked{NearMiss{d.ARN, s.Name, d.Pos.Line, d.Reason}, 1})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int { return a.rank - b.rank })
	out := make([]NearMiss, len(found))
	for i, f := range found {
		out[i] = f.NearMiss
	}
	return out
}

// bare is the ARN that a person means by one with a path, a session or blanks.
func bare(arn string) string {
	a, err := ParseARN(strings.TrimSpace(arn))
	if err != nil {
		return arn
	}
	if _, canonical, err := Canonical(a.String()); err == nil {
		if a, err = ParseARN(canonical); err != nil {
			return canonical
		}
	}
	if a.kindOf() == string(Role) {
		a = a.withoutPath()
	}
	return a.String()
}

// ssoRole is the name of a role of IAM Identity Center: the permission set's
// name and a random suffix.
var ssoRole = lazyexp.New(`^awsreservedsso_(.+)_([0-9a-z]+)$`)

package iammap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// Lint checks sources, in the order in which a server would ask them, for
// entries that never match, that others hide, or that give more than they
// seem to. The faults that reading found come with it.
func Lint(sources ...*Source) []finding.Finding {
	var out []finding.Finding
	reserved := map[Format][]string{}
	strict := false
	for _, s := range sources {
		for format, prefixes := range s.Reserved {
			reserved[format] = append(reserved[format], prefixes...)
		}
		strict = strict || s.UserIDStrict
	}
	for _, s := range sources {
		out = append(out, s.Findings()...)
		l := linter{src: s, reserved: reserved[s.Format], strict: strict && s.Format == DynamicFile}
		for i := range s.Entries {
			l.entry(&s.Entries[i])
		}
		l.duplicates()
		out = append(out, l.out...)
	}
	return append(out, shadowed(sources)...)
}

// linter checks one source.
type linter struct {
	src      *Source
	reserved []string
	strict   bool
	out      []finding.Finding
}

func (l *linter) note(code, subject, message string, p Pos, fix string) *finding.Finding {
	f := finding.New(code, subject, message)
	f.Where = l.src.where(p)
	f.Fix.Summary = fix
	l.out = append(l.out, f)
	return &l.out[len(l.out)-1]
}

// label names an entry in a finding.
func (e *Entry) label() string {
	switch e.Kind {
	case ByAccount:
		return "account " + e.ARN
	case BySSO:
		return "permission set " + e.SSO.PermissionSetName
	}
	if a, err := ParseARN(e.ARN); err == nil && a.Resource != "" {
		return a.Resource
	}
	return orElse(e.ARN, orElse(e.UserID, e.Section))
}

func (l *linter) entry(e *Entry) {
	if e.Kind == ByAccount {
		l.note("KC418", e.label(), "every role and user of the account can log in, under its ARN as user name", e.Pos,
			"Map the roles that need access one by one.")
		return
	}
	if e.Kind == ByRole || e.Kind == ByUser {
		if !l.arn(e) {
			return // what never matches needs no further advice
		}
	}
	l.names(e)
	l.node(e)
	l.danger(e)
}

// arn checks the ARN of an entry and tells whether it can match at all.
func (l *linter) arn(e *Entry) bool {
	subject := e.label()
	if e.ARN == "" { // a dynamic file's entry that has a userid only
		if !l.strict {
			l.note("KC406", subject, "the entry has a userid and no ARN, which counts only where dynamicfileUserIDStrict is set", e.Pos, "Give it an ARN.")
		}
		return l.strict
	}
	if strings.ContainsAny(e.ARN, "<>") {
		l.note("KC406", subject, "the ARN holds a placeholder that was never filled in", e.ARNPos, "Put the real ARN in its place.")
		return false
	}
	trimmed := strings.TrimSpace(e.ARN)
	a, err := ParseARN(trimmed)
	if strings.HasPrefix(trimmed, "ARN:") { // mappings are compared in lower case
		a, err = ParseARN(strings.ToLower(trimmed))
	}
	if err != nil {
		l.note("KC406", subject, err.Error()+", so the entry never matches", e.ARNPos, "Write the whole ARN: arn:aws:iam::ACCOUNT:role/NAME.")
		return false
	}
	switch {
	case trimmed != e.ARN:
		l.note("KC406", subject, "there are blanks around the ARN, so the entry never matches", e.ARNPos, "Remove the blanks.")
		return false
	case strings.ContainsAny(a.Resource+a.Account, "*?"):
		f := l.note("KC421", subject, "a wildcard in an ARN is not read: the entry matches only a principal of exactly this name, which there is not", e.ARNPos,
			"Name each role, or write rolearnlike instead of rolearn (read by kubecred's server, not by EKS).")
		f.Details = []string{"EKS has no wildcards in mappings"}
		return false
	case !isAccount(a.Account):
		l.note("KC406", subject, fmt.Sprintf("the account in the ARN is %q, and an AWS account has twelve digits, so the entry never matches", a.Account), e.ARNPos,
			"Write the account's twelve digits.")
		return false
	case !slices.Contains(partitions, strings.ToLower(a.Partition)):
		l.note("KC406", subject, fmt.Sprintf("there is no AWS partition %q, so the entry never matches", a.Partition), e.ARNPos,
			"Write one of "+strings.Join(partitions, ", ")+".")
		return false
	case a.Region != "" && (a.Service == "iam" || a.Service == "sts"):
		l.note("KC406", subject, fmt.Sprintf("the ARN names region %q, and ARNs of IAM have none, so the entry never matches", a.Region), e.ARNPos, "Remove the region.")
		return false
	}
	return l.kind(e, a)
}

// kind checks what the ARN names.
func (l *linter) kind(e *Entry, a ARN) bool {
	subject, kind := e.label(), strings.ToLower(a.kindOf())
	switch {
	case a.Service == "sts" && kind == string(AssumedRole):
		if l.src.Format == ConfigFile || l.src.Format == DynamicFile || l.src.Format == CRD {
			if _, _, err := Canonical(e.ARN); err == nil {
				return true
			}
		}
		parts := strings.Split(a.Resource, "/")
		f := l.note("KC405", subject, "the ARN is that of a session (assumed-role), and mappings are compared with the role's, so the entry never matches", e.ARNPos, "Write the role's ARN.")
		if len(parts) > 1 {
			f.Fix.Summary = "Write " + ARN{a.Partition, "iam", "", a.Account, "role/" + parts[1]}.String() + "."
		}
		return false
	case a.Service == "sts" && kind == string(FederatedUser), kind == string(Root) && a.Service == "iam":
	case a.Service == "iam" && kind == string(Role) && a.path() != "":
		if l.src.Format == AccessEntries {
			return true
		}
		if l.strict {
			return true // the path is left out of the comparison there
		}
		f := l.note("KC401", subject, fmt.Sprintf("the ARN has the role's path %q, which STS leaves out, so the entry never matches", a.path()), e.ARNPos,
			"Write "+a.withoutPath().String()+".")
		f.Evidence["path"], f.Evidence["arn"] = a.path(), e.ARN
		return false
	case a.Service == "iam" && (kind == string(Role) || kind == string(User)):
		if a.name() == "" || !strings.Contains(a.Resource, "/") {
			l.note("KC406", subject, "the ARN names no "+kind, e.ARNPos, "Write the whole ARN.")
			return false
		}
		l.list(e, kind)
		l.permissionSet(e, a)
	default:
		l.note("KC405", subject, kindMessage(a, kind), e.ARNPos, kindFix(a, kind))
		return false
	}
	return true
}

func kindMessage(a ARN, kind string) string {
	switch {
	case kind == "group":
		return "the ARN is that of an IAM group, and STS never says that somebody is in one, so the entry never matches"
	case kind == "instance-profile":
		return "the ARN is that of an instance profile, not of the role in it, so the entry never matches"
	case a.Service == "eks" && kind == "fargateprofile":
		return "the ARN is that of a Fargate profile, not of its pod execution role, so the entry never matches"
	}
	return fmt.Sprintf("the ARN is that of %s (service %s), which nobody logs in as, so the entry never matches", article(kind), a.Service)
}

func kindFix(a ARN, kind string) string {
	switch {
	case kind == "group":
		return "Map a role that the group's members may assume."
	case kind == "instance-profile":
		return "Write the ARN of the instance role (role/..., not instance-profile/...)."
	case a.Service == "eks" && kind == "fargateprofile":
		return "Write the ARN of the profile's pod execution role."
	}
	return "Write the ARN of a role or a user."
}

// list warns of a user in mapRoles and of a role in mapUsers. They match, as
// only the ARN is compared, but other tools do not find them there.
func (l *linter) list(e *Entry, kind string) {
	if e.Kind == ByRole && e.Section == "mapRoles" && kind == string(User) {
		l.note("KC419", e.label(), "a user's ARN stands in mapRoles, where no tool looks for it", e.ARNPos, "Move it to mapUsers, with userarn as key.")
	}
	if e.Kind == ByUser && e.Section == "mapUsers" && kind == string(Role) {
		l.note("KC419", e.label(), "a role's ARN stands in mapUsers, where no tool looks for it", e.ARNPos, "Move it to mapRoles, with rolearn as key.")
	}
}

// permissionSet warns of a role of IAM Identity Center without its suffix.
func (l *linter) permissionSet(e *Entry, a ARN) {
	name := strings.ToLower(a.name())
	if strings.HasPrefix(name, "awsreservedsso_") && ssoRole().FindStringSubmatch(name) == nil {
		l.note("KC406", e.label(), "a role of IAM Identity Center ends with a suffix (AWSReservedSSO_SET_0123456789abcdef), which this ARN leaves out, so the entry never matches", e.ARNPos,
			"Copy the role's name from IAM, suffix and all, without its path.")
	}
}

// duplicates finds entries with one key in one source.
func (l *linter) duplicates() {
	last := map[string]*Entry{}
	for i := range l.src.Entries {
		e := &l.src.Entries[i]
		if e.Key == "" || l.strict {
			continue
		}
		before := last[e.Key]
		last[e.Key] = e
		if before == nil {
			continue
		}
		if before.Kind == ByRole && e.Kind == ByUser {
			last[e.Key], e, before = before, before, e // roles are asked first
		}
		f := l.note("KC402", e.label(), fmt.Sprintf("duplicate: %s is mapped twice in one source; the last one counts alone, and groups are not merged", e.ARN), before.Pos,
			"Keep one entry for the ARN, with all its groups.")
		f.Details = []string{
			fmt.Sprintf("line %d counts: %s", e.Pos.Line, brief(e)),
			fmt.Sprintf("line %d does not: %s", before.Pos.Line, brief(before)),
		}
		if e.Username == before.Username && slices.Equal(e.Groups, before.Groups) {
			f.Severity = finding.Warning
		}
	}
}

// shadowed finds entries that an earlier source hides.
func shadowed(sources []*Source) []finding.Finding {
	var out []finding.Finding
	first := map[string]Match{}
	for _, s := range sources {
		for i := range s.Entries {
			e := &s.Entries[i]
			if e.Key == "" {
				continue
			}
			m, ok := first[e.Key]
			if !ok {
				first[e.Key] = Match{s, e}
				continue
			}
			if m.Source == s {
				continue
			}
			f := finding.New("KC414", e.label(), fmt.Sprintf("shadowed: %s maps the same ARN and is asked first, so this entry never counts", m.Source.Name))
			f.Where = s.where(e.Pos)
			f.Fix.Summary = "Keep it in one source."
			f.Details = []string{
				fmt.Sprintf("%s:%d counts: %s", m.Source.Name, m.Entry.Pos.Line, brief(m.Entry)),
				"this one: " + brief(e),
			}
			out = append(out, f)
		}
	}
	return out
}

package iammap

import (
	"fmt"
	"strings"
)

// difference is one way in which an entry's ARN is not the one in question.
type difference struct{ word, text string }

// compare holds an entry's ARN against the canonical one in question. rank is
// 0 where they have nothing to do with each other, else the number of
// differences, 1 or 2.
func compare(e *Entry, want ARN, p *part) (reason string, rank int) {
	written := strings.ToLower(e.ARN)
	wanted, err := ParseARN(strings.ToLower(want.String()))
	if err != nil {
		return "", 0
	}
	if e.Kind == BySSO || e.Kind == ByPattern {
		return comparePattern(e, wanted)
	}
	if trimmed := strings.TrimSpace(written); trimmed != written && bare(trimmed) == wanted.String() {
		return "spelling: there are blanks around the ARN", 1
	}
	got, err := ParseARN(written)
	if err != nil {
		if near(written, wanted.String()) {
			return fmt.Sprintf("spelling: %q is no ARN, one letter is wrong", e.ARN), 1
		}
		return "", 0
	}
	if p.strict && e.Key == wanted.String() {
		return "kind: this source matches by the principal's id (userid), not by its ARN", 1
	}
	diffs := differences(got, wanted, p.src.Format)
	if len(diffs) == 0 || len(diffs) > 2 {
		return "", 0
	}
	words, texts := make([]string, len(diffs)), make([]string, len(diffs))
	for i, d := range diffs {
		words[i], texts[i] = d.word, d.text
	}
	return strings.Join(words, " and ") + ": " + strings.Join(texts, "; "), len(diffs)
}

// differences lists how two ARNs in lower case differ, or more than two for
// ARNs that are not related. Of the parts that may be misspelt only one may.
func differences(got, want ARN, format Format) []difference {
	unrelated := make([]difference, 3)
	var out []difference
	if got.Partition != want.Partition {
		out = append(out, difference{"partition", fmt.Sprintf("it is %s in the entry and %s in the question", got.Partition, want.Partition)})
	}
	if got.Account != want.Account {
		text := fmt.Sprintf("it is %s in the entry and %s in the question", orElse(got.Account, "empty"), want.Account)
		if near(got.Account, want.Account) {
			text += ", one digit apart"
		}
		out = append(out, difference{"account", text})
	}
	if got.Region != want.Region || got.Service != want.Service && !(got.Service == "sts" && want.Service == "iam") {
		out = append(out, difference{"spelling", fmt.Sprintf("the ARN is of %s where it must be of %s, without a region", serviceOf(got), serviceOf(want))})
	}
	gotName, gotKind := got.name(), got.kindOf()
	path := got.path()
	if got.Service == "sts" && gotKind == string(AssumedRole) {
		parts := strings.Split(got.Resource, "/")
		if len(parts) < 2 {
			return unrelated
		}
		gotName, path = parts[1], ""
		gotKind = string(Role)
		if len(parts) > 3 {
			gotName = parts[len(parts)-2]
		}
		if format == AWSAuth || format == AccessEntries {
			out = append(out, difference{"kind", "the entry has the ARN of a session (assumed-role) where that of the role belongs"})
		}
	}
	wantKind := want.kindOf()
	switch {
	case gotKind == wantKind:
	case near(gotKind, wantKind) || strings.EqualFold(gotKind, wantKind+"s"):
		out = append(out, difference{"spelling", fmt.Sprintf("%s/ where %s/ belongs", gotKind, wantKind)})
	default:
		out = append(out, difference{"kind", fmt.Sprintf("the entry names %s and the question %s", article(gotKind), article(wantKind))})
	}
	if path != "" && gotKind == string(Role) && format != AccessEntries {
		out = append(out, difference{"path", fmt.Sprintf("the entry has the role's path %q, which STS leaves out, so it never matches", path)})
	}
	if gotName != want.name() {
		text, ok := nameDifference(gotName, want.name(), want)
		if !ok {
			return unrelated
		}
		out = append(out, difference{"spelling", text})
	}
	return out
}

func serviceOf(a ARN) string {
	if a.Region != "" {
		return a.Service + " in " + a.Region
	}
	return a.Service
}

// nameDifference tells whether two names may have been meant as one.
func nameDifference(got, want string, wanted ARN) (string, bool) {
	g, w := ssoRole().FindStringSubmatch(got), ssoRole().FindStringSubmatch(want)
	switch {
	case g != nil && w != nil && g[1] == w[1]:
		return fmt.Sprintf("the permission set is the same, its role's suffix is %s in the entry and %s in the question; it changes when the set is assigned anew", g[2], w[2]), true
	case w != nil && got == "awsreservedsso_"+w[1]:
		return fmt.Sprintf("the entry leaves out the role's suffix %s", w[2]), true
	case strings.ContainsAny(got, "*?") && glob(got, want):
		return "the entry has a wildcard, which is not read in an ARN", true
	case near(got, want) && len(want) > 2:
		return fmt.Sprintf("%s in the entry, %s in the question", got, want), true
	case strings.TrimSpace(got) == want:
		return "there are blanks in the ARN", true
	}
	return "", false
}

// comparePattern holds a permission set or a pattern against an ARN.
func comparePattern(e *Entry, want ARN) (string, int) {
	pattern, err := ParseARN(e.Key)
	if err != nil || want.kindOf() != string(Role) {
		return "", 0
	}
	named := glob(pattern.Resource, want.Resource)
	switch {
	case named && pattern.Partition != want.Partition && pattern.Account == want.Account:
		return fmt.Sprintf("partition: it is %s in the entry and %s in the question", pattern.Partition, want.Partition), 1
	case named && pattern.Account != want.Account && pattern.Partition == want.Partition:
		return fmt.Sprintf("account: it is %s in the entry and %s in the question", pattern.Account, want.Account), 1
	case named && pattern.Account != want.Account:
		return fmt.Sprintf("partition and account: they are %s and %s in the entry, %s and %s in the question",
			pattern.Partition, pattern.Account, want.Partition, want.Account), 2
	}
	if e.Kind != BySSO || pattern.Account != want.Account || pattern.Partition != want.Partition {
		return "", 0
	}
	if m := ssoRole().FindStringSubmatch(want.name()); m != nil && near(strings.ToLower(e.SSO.PermissionSetName), m[1]) {
		return fmt.Sprintf("spelling: the permission set is %s in the entry and %s in the question", e.SSO.PermissionSetName, m[1]), 1
	}
	return "", 0
}

package iammap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// permissionSet is the name's rule
// (https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_PermissionSet.html).
var permissionSet = lazyexp.New(`^[\w+=,.@-]{1,32}$`)

// finish turns what an entry's keys said into an entry that matches, or notes
// why it can not.
func (r *reader) finish(d *draft, section string) {
	switch {
	case section == "mapRoles" && d.role == "" && d.like == "" && d.SSO == nil && d.user != "":
		r.otherKey(d, d.user, d.userPos, "userarn", "rolearn")
	case section == "mapUsers" && d.user == "" && d.role != "":
		r.otherKey(d, d.role, d.rolePos, "rolearn", "userarn")
	case section == "mapRoles" && d.SSO != nil && d.role != "":
		f := r.src.fault("KC422", d.subject, "rolearn and sso in one entry: only one of them may be there, so the entry is dropped", d.Pos)
		f.Fix.Summary = "Make two entries of it."
		r.src.dead(d.role, "kind: the entry has both rolearn and sso and is dropped for it", d.Pos)
	case section == "mapRoles" && d.SSO != nil:
		r.finishSSO(d)
	case section == "mapRoles" && d.like != "":
		r.finishPattern(d)
	case section == "mapRoles" && d.role != "":
		r.add(d.Entry, ByRole, d.role, d.rolePos)
	case section == "mapUsers" && d.user != "":
		r.add(d.Entry, ByUser, d.user, d.userPos)
	case r.src.Format == DynamicFile && d.UserID != "":
		kind := ByRole
		if section == "mapUsers" {
			kind = ByUser
		}
		r.add(d.Entry, kind, "", d.Pos)
	case d.deadReason != "":
		r.src.dead(d.deadARN, d.deadReason, d.Pos)
	default:
		f := r.src.fault("KC406", d.subject, "the entry has no "+arnKey(section)+" and maps nobody", d.Pos)
		f.Fix.Summary = "Give it one, or remove it."
	}
}

// otherKey is for a userarn in mapRoles and a rolearn in mapUsers, which the
// authenticator does not read there.
func (r *reader) otherKey(d *draft, arn string, p Pos, is, want string) {
	f := r.src.fault("KC403", d.subject, fmt.Sprintf("key %s is not read in %s, which wants %s, so the entry has no ARN and maps nobody", is, d.Section, want), p)
	f.Fix.Summary = fmt.Sprintf("Rename the key to %s, or move the entry to the other list.", want)
	r.src.dead(arn, fmt.Sprintf("kind: its key is %s, which is not read in %s", is, d.Section), p)
}

func (r *reader) add(e Entry, kind EntryKind, arn string, p Pos) {
	e.Kind, e.ARN, e.ARNPos = kind, arn, p
	if r.src.Format == AWSAuth {
		// The ConfigMap's ARNs are compared as they stand (configmap.go).
		e.Key = strings.ToLower(arn)
	} else if _, canonical, err := Canonical(strings.ToLower(arn)); err == nil {
		e.Key = strings.ToLower(canonical)
	} else {
		e.Key = strings.ToLower(arn)
	}
	r.src.Entries = append(r.src.Entries, e)
}

func (r *reader) finishSSO(d *draft) {
	s := *d.SSO
	bad := ""
	switch {
	case !isAccount(s.AccountID):
		bad = fmt.Sprintf("accountID %q is no AWS account: twelve digits, in quotes", s.AccountID)
	case !permissionSet().MatchString(s.PermissionSetName):
		bad = fmt.Sprintf("permissionSetName %q is no name of a permission set", s.PermissionSetName)
	case s.Partition != "" && !slices.Contains(partitions, s.Partition):
		bad = fmt.Sprintf("there is no AWS partition %q", s.Partition)
	}
	if bad != "" {
		f := r.src.fault("KC422", d.subject, "the sso matcher is not valid, so the entry is dropped: "+bad, d.Pos)
		f.Fix.Summary = "Give permissionSetName without AWSReservedSSO_ and its suffix, accountID in quotes, partition only outside of aws."
		return
	}
	d.Kind, d.ARN, d.Key, d.ARNPos = BySSO, s.pattern(), s.pattern(), d.Pos
	r.src.Entries = append(r.src.Entries, d.Entry)
}

// finishPattern takes a rolearnlike. The account must be written out: a
// pattern over accounts would let strangers in.
func (r *reader) finishPattern(d *draft) {
	a, err := ParseARN(d.like)
	switch {
	case err != nil:
	case a.Service != "iam" || a.kindOf() != string(Role) || !slices.Contains(partitions, strings.ToLower(a.Partition)):
		err = fmt.Errorf("%q is no pattern for role ARNs (arn:aws:iam::ACCOUNT:role/NAME with * and ? in the name)", d.like)
	case !isAccount(a.Account):
		err = fmt.Errorf("%q leaves the account open, which would let in other people's roles", d.like)
	}
	if err != nil {
		f := r.src.fault("KC421", d.subject, "the pattern is not used: "+err.Error(), d.rolePos)
		f.Fix.Summary = "Write the partition and the account out."
		return
	}
	d.Kind, d.ARN, d.Key, d.ARNPos = ByPattern, d.like, strings.ToLower(d.like), d.rolePos
	r.src.Entries = append(r.src.Entries, d.Entry)
}

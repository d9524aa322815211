package iammap

import (
	"fmt"
	"slices"
	"strings"
)

// ARN is an Amazon Resource Name in its six parts:
// arn:partition:service:region:account:resource.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// partitions are those that the authenticator knows (pkg/endpoints).
var partitions = []string{
	"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc",
}

// Partitions lists the AWS partitions whose ARNs are accepted.
func Partitions() []string { return slices.Clone(partitions) }

// Kind is what sort of principal an ARN names.
type Kind string

// The kinds that STS answers GetCallerIdentity with, and the role behind one.
const (
	Role          Kind = "role"
	User          Kind = "user"
	Root          Kind = "root"
	AssumedRole   Kind = "assumed-role"
	FederatedUser Kind = "federated-user"
)

// ParseARN splits an ARN. The error says which part is wrong.
func ParseARN(s string) (ARN, error) {
	parts := strings.SplitN(s, ":", 6)
	switch {
	case s == "":
		return ARN{}, fmt.Errorf("no ARN")
	case parts[0] != "arn":
		return ARN{}, fmt.Errorf("%q is no ARN: it does not begin with \"arn:\"", s)
	case len(parts) < 6:
		return ARN{}, fmt.Errorf("%q is no ARN: it has %d of six parts (arn:partition:service:region:account:resource)", s, len(parts))
	}
	return ARN{parts[1], parts[2], parts[3], parts[4], parts[5]}, nil
}

func (a ARN) String() string {
	return strings.Join([]string{"arn", a.Partition, a.Service, a.Region, a.Account, a.Resource}, ":")
}

// kindOf is what stands before the first slash of the resource: "role",
// "user", "group", "instance-profile", "assumed-role", "root".
func (a ARN) kindOf() string {
	kind, _, _ := strings.Cut(a.Resource, "/")
	return kind
}

// name is what stands after the last slash of the resource.
func (a ARN) name() string { return a.Resource[strings.LastIndexByte(a.Resource, '/')+1:] }

// path is what stands between the kind and the name, without slashes at its
// ends: "team/ci" for role/team/ci/deployer.
func (a ARN) path() string {
	first, last := strings.IndexByte(a.Resource, '/'), strings.LastIndexByte(a.Resource, '/')
	if first < 0 || first == last {
		return ""
	}
	return strings.Trim(a.Resource[first:last], "/")
}

func (a ARN) withoutPath() ARN {
	if a.path() != "" {
		a.Resource = a.kindOf() + "/" + a.name()
	}
	return a
}

// Canonical turns an ARN as STS answers it into the one that mappings are
// written with: arn:P:sts::A:assumed-role/R/S becomes arn:P:iam::A:role/R. All
// others stay. It is pkg/arn.Canonicalize of aws-iam-authenticator, with one
// more refusal: the account must be twelve digits.
func Canonical(arn string) (Kind, string, error) {
	a, err := ParseARN(arn)
	if err != nil {
		return "", "", err
	}
	if !slices.Contains(partitions, a.Partition) {
		return "", "", fmt.Errorf("%q: there is no AWS partition %q", arn, a.Partition)
	}
	if !isAccount(a.Account) {
		return "", "", fmt.Errorf("%q: an AWS account is twelve digits, not %q", arn, a.Account)
	}
	kind := a.kindOf()
	if a.name() == "" {
		return "", "", fmt.Errorf("%q: the %s has no name", arn, kind)
	}
	switch {
	case a.Service == "sts" && kind == string(AssumedRole):
		parts := strings.Split(a.Resource, "/")
		if len(parts) < 3 {
			return "", "", fmt.Errorf("%q: an assumed-role ARN names a role and a session", arn)
		}
		role := strings.Join(parts[1:len(parts)-1], "/")
		if role == "" {
			return "", "", fmt.Errorf("%q: an assumed-role ARN names a role and a session", arn)
		}
		return AssumedRole, ARN{a.Partition, "iam", "", a.Account, "role/" + role}.String(), nil
	case a.Service == "sts" && kind == string(FederatedUser),
		a.Service == "iam" && (kind == string(Role) || kind == string(User)) && strings.Contains(a.Resource, "/"),
		a.Service == "iam" && a.Resource == string(Root):
		return Kind(kind), arn, nil
	}
	return "", "", fmt.Errorf("%q: STS never answers with %s of service %s (a role, a user, the root user or a federated user it can be)", arn, article(kind), a.Service)
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

func article(noun string) string {
	if noun == "" {
		return "nothing"
	}
	if strings.ContainsRune("aeio", rune(noun[0])) { // a user, an instance-profile
		return "an " + noun
	}
	return "a " + noun
}

// sessionOf is the session's name of an assumed-role ARN, "" for others.
func sessionOf(a ARN) string {
	if a.Service != "sts" || a.kindOf() != string(AssumedRole) || strings.Count(a.Resource, "/") < 2 {
		return ""
	}
	return a.name()
}

// Like tells whether arn matches pattern section by section, without regard to
// case: * stands for any run of characters and ? for exactly one, neither
// beyond a colon except in the last section. (The peer's ArnLike lets ? stand
// for none as well.) A pattern with fewer than six sections matches nothing.
func Like(pattern, arn string) bool {
	p := strings.SplitN(strings.ToLower(pattern), ":", 6)
	a := strings.SplitN(strings.ToLower(arn), ":", 6)
	if len(p) != 6 || len(a) != 6 {
		return false
	}
	for i := range p {
		if !glob(p[i], a[i]) {
			return false
		}
	}
	return true
}

// glob matches bytes with * and ? in time linear in the product of the two
// lengths at worst.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

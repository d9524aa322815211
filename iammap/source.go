package iammap

import (
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// Format is one of the places that mappings live in.
type Format string

// The formats, by the names that the command line uses. In brackets the
// back end's name in the configuration of aws-iam-authenticator.
const (
	ConfigFile    Format = "config"         // the server's config file [MountedFile]
	AWSAuth       Format = "aws-auth"       // ConfigMap kube-system/aws-auth [EKSConfigMap]
	CRD           Format = "crd"            // IAMIdentityMapping objects [CRD]
	DynamicFile   Format = "dynamic"        // the dynamic JSON file [DynamicFile]
	AccessEntries Format = "access-entries" // access entries of EKS, as the aws CLI prints them
)

// Formats lists the formats.
func Formats() []Format {
	return []Format{ConfigFile, AWSAuth, CRD, DynamicFile, AccessEntries}
}

// backends are the names in reservedPrefixConfig and backendMode.
var backends = map[string]Format{
	"mountedfile": ConfigFile, "file": ConfigFile,
	"eksconfigmap": AWSAuth, "configmap": AWSAuth,
	"crd": CRD, "dynamicfile": DynamicFile,
}

// Pos is a place in a source; lines and columns count from 1 and 0 is unknown.
type Pos struct{ Line, Column int }

// EntryKind says how an entry is matched.
type EntryKind string

// The kinds of entries.
const (
	ByRole    EntryKind = "role"    // one ARN, of mapRoles
	ByUser    EntryKind = "user"    // one ARN, of mapUsers
	BySSO     EntryKind = "sso"     // roles of an IAM Identity Center permission set
	ByPattern EntryKind = "pattern" // role ARNs by * and ? (rolearnlike)
	ByAccount EntryKind = "account" // every principal of an account
)

// Entry is one mapping.
type Entry struct {
	Kind EntryKind
	// ARN is the ARN or pattern as written, or the account of ByAccount.
	ARN string
	// Key is what is compared with a canonical ARN in lower case: an ARN, a
	// pattern, or an account.
	Key string
	// Username and Groups are templates, see [Render].
	Username string
	Groups   []string
	// UserID is the principal's unique id (AROA..., AIDA...), where given.
	UserID string
	// SSO is set for BySSO.
	SSO *SSO
	// Type is that of an access entry: STANDARD, EC2_LINUX and so on.
	Type string
	// Policies are the access policies of an access entry.
	Policies []Policy
	// Section names the list it stands in: mapRoles, mapUsers, mapAccounts,
	// or the object.
	Section string
	Pos     Pos // of the entry
	ARNPos  Pos // of the ARN's value
}

// SSO matches the role that IAM Identity Center makes for a permission set.
type SSO struct{ PermissionSetName, AccountID, Partition string }

// pattern is the role's ARN with its random suffix left open.
func (s SSO) pattern() string {
	partition := s.Partition
	if partition == "" {
		partition = "aws"
	}
	return strings.ToLower(ARN{partition, "iam", "", s.AccountID, "role/AWSReservedSSO_" + s.PermissionSetName + "_*"}.String())
}

// Policy is an EKS access policy with its scope.
type Policy struct {
	ARN        string
	Scope      string // "cluster" or "namespace"
	Namespaces []string
}

// Dead is something meant as an entry that takes no part in matching.
type Dead struct {
	ARN string
	// Reason begins with the word for it: case, spelling, kind, YAML.
	Reason string
	Pos    Pos
}

// Fault is what is wrong with a source before any question is asked of it.
type Fault struct {
	finding.Finding
	// Fatal means that a part of the source could not be read at all, so that
	// what it maps is not known. A source with a fatal fault must not replace
	// one that was read whole.
	Fatal bool
}

// Source is one place with mappings, read whole.
type Source struct {
	// Name is the path or address as the person gave it.
	Name    string
	Format  Format
	Entries []Entry
	Dead    []Dead
	Faults  []Fault
	// Reserved are the user name prefixes that no mapping of a format may
	// yield, as a config file's reservedPrefixConfig sets them.
	Reserved map[Format][]string
	// UserIDStrict makes the principal's id the key instead of its ARN
	// (dynamicfileUserIDStrict).
	UserIDStrict bool
	// lines is the source's text, for findings.
	lines []string
}

// Err returns an error that names the first fatal fault, or nil.
func (s *Source) Err() error {
	for _, f := range s.Faults {
		if f.Fatal {
			return fmt.Errorf("%s:%d: %s: %s", s.Name, f.Where.Line, f.Subject, f.Message)
		}
	}
	return nil
}

// Findings returns the faults as findings.
func (s *Source) Findings() []finding.Finding {
	out := make([]finding.Finding, len(s.Faults))
	for i, f := range s.Faults {
		out[i] = f.Finding
	}
	return out
}

// Count returns how many entries of the kinds there are.
func (s *Source) Count(kinds ...EntryKind) int {
	n := 0
	for _, e := range s.Entries {
		for _, k := range kinds {
			if e.Kind == k {
				n++
			}
		}
	}
	return n
}

// where makes a place of a position, with the line's text.
func (s *Source) where(p Pos) finding.Where {
	w := finding.Where{File: s.Name, Line: p.Line, Column: p.Column}
	if p.Line > 0 && p.Line <= len(s.lines) {
		w.Text = clip(strings.TrimSpace(s.lines[p.Line-1]))
	}
	return w
}

func clip(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// fault notes what is wrong at a place and returns it for more to be set.
func (s *Source) fault(code, subject, message string, p Pos) *Fault {
	f := finding.New(code, subject, message)
	f.Where = s.where(p)
	s.Faults = append(s.Faults, Fault{Finding: f})
	return &s.Faults[len(s.Faults)-1]
}

func (s *Source) dead(arn, reason string, p Pos) {
	s.Dead = append(s.Dead, Dead{ARN: arn, Reason: reason, Pos: p})
}

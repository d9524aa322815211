package iammap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func table(t testing.TB, texts ...string) *Table {
	t.Helper()
	var all []*Source
	for i, s := range texts {
		sources, err := Read(fmt.Sprintf("s%d", i+1), []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sources...)
	}
	return NewTable(all...)
}

const acct = "arn:aws:iam::111122223333:"

func TestLookupOrder(t *testing.T) {
	const sso = "role/AWSReservedSSO_View_Only_0123456789abcdef"
	tests := []struct {
		name, arn, want string // want: source:line, or "" for nobody
		texts           []string
	}{
		{"exact", acct + "role/a", "s1:3", []string{"clusterID: c\nserver: {mapRoles: [\n{roleARN: " + acct + "role/A, username: x}]}"}},
		{"last of two", acct + "role/a", "s1:2", []string{"- {rolearn: " + acct + "role/a, username: x}\n- {rolearn: " + acct + "role/A, username: y}"}},
		{"first source", acct + "role/a", "s1:1", []string{"- {rolearn: " + acct + "role/a, username: x}", "- {rolearn: " + acct + "role/a, username: y}"}},
		{"second source", acct + "role/b", "s2:1", []string{"- {rolearn: " + acct + "role/a, username: x}", "- {rolearn: " + acct + "role/b, username: y}"}},
		{"an account of the first source before a role of the second", acct + "role/b", "s1:1", []string{"server: {mapAccounts: ['111122223333']}", "- {rolearn: " + acct + "role/b, username: y}"}},
		{"a role before the account", acct + "role/b", "s1:2", []string{"server: {mapAccounts: ['111122223333'],\nmapRoles: [{rolearn: " + acct + "role/b}]}"}},
		{"a role before a user", acct + "user/b", "s1:2", []string{"server: {mapUsers: [{userarn: " + acct + "user/b}],\nmapRoles: [{rolearn: " + acct + "user/b}]}"}},
		{"exact before pattern", acct + sso, "s1:2", []string{"server: {mapRoles: [{sso: {permissionSetName: View_Only, accountID: '111122223333'}},\n{rolearn: " + acct + sso + "}]}"}},
		{"the longer pattern", acct + "role/dev-ops", "s1:2", []string{"server: {mapRoles: [{rolearnlike: '" + acct + "role/dev*'},\n{rolearnlike: '" + acct + "role/dev-o*'},\n{rolearnlike: '" + acct + "role/*'}]}"}},
		{"of two equal patterns the last", acct + "role/dev", "s1:2", []string{"server: {mapRoles: [{rolearnlike: '" + acct + "role/d*'},\n{rolearnlike: '" + acct + "role/*v'}]}"}},
		{"a permission set", acct + sso, "s1:1", []string{"- {sso: {permissionSetName: View_Only, accountID: '111122223333'}}"}},
		{"another set with that beginning", acct + sso, "", []string{"- {sso: {permissionSetName: View, accountID: '111122223333'}}"}},
		{"a permission set with a partition", strings.Replace(acct, "aws", "aws-us-gov", 1) + sso, "s1:1", []string{"- {sso: {permissionSetName: View_Only, accountID: '111122223333', partition: aws-us-gov}}"}},
		{"a path never matches", acct + "role/a", "", []string{"- {rolearn: " + acct + "role/p/a, username: x}"}},
		{"a session in the config file", acct + "role/a", "s1:1", []string{"server: {mapRoles: [{rolearn: 'arn:aws:sts::111122223333:assumed-role/a/s'}]}"}},
		{"a session in aws-auth", acct + "role/a", "", []string{"- {rolearn: 'arn:aws:sts::111122223333:assumed-role/a/s'}"}},
		{"an access entry with a path", acct + "role/a", "s1:1", []string{`{"accessEntry": {"principalArn": "` + acct + `role/p/a"}}`}},
		{"an object", acct + "role/a", "s1:1", []string{`{"kind": "IAMIdentityMapping", "spec": {"arn": "` + acct + `role/a", "username": "x"}}`}},
		{"a dynamic file", acct + "user/a", "s1:1", []string{`{"mapUsers": [{"userarn": "` + acct + `user/a", "username": "x"}]}`}},
		{"a broken list", acct + "role/a", "", []string{"kind: ConfigMap\nmetadata: {name: aws-auth}\ndata:\n  mapRoles: |\n    - rolearn: " + acct + "role/a\n    -username: x\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 5 {
				got := ""
				if m, ok := table(t, tt.texts...).Lookup(Identity{Canonical: tt.arn, Account: "111122223333"}); ok {
					got = fmt.Sprintf("%s:%d", m.Source.Name, m.Entry.Pos.Line)
				}
				if got != tt.want {
					t.Errorf("Lookup(%s) = %q, want %q", tt.arn, got, tt.want)
				}
			}
		})
	}
}

func TestStrictUserID(t *testing.T) {
	tb := table(t, "server: {dynamicfileUserIDStrict: true}",
		`{"mapRoles": [{"rolearn": "`+acct+`role/p/a", "userid": "AROA1", "username": "a"}, {"userid": "AROA2", "username": "b"}, {"rolearn": "`+acct+`role/c", "username": "c"}]}`)
	tests := []struct{ arn, id, want string }{
		{acct + "role/a", "AROA1", "a"},
		{acct + "role/other", "AROA1", ""},
		{acct + "role/any", "AROA2", "b"},
		{acct + "role/c", "AROA3", ""},
		{acct + "role/c", "", ""},
	}
	for _, tt := range tests {
		got := ""
		if m, ok := tb.Lookup(Identity{Canonical: tt.arn, UserID: tt.id}); ok {
			got = m.Entry.Username
		}
		if got != tt.want {
			t.Errorf("Lookup(%s, %s) = %q, want %q", tt.arn, tt.id, got, tt.want)
		}
	}
}

type dns map[string]string

func (d dns) PrivateDNSName(_ context.Context, id string) (string, error) {
	if name, ok := d[id]; ok {
		return name, nil
	}
	return "", errors.New("no such instance")
}

func TestUser(t *testing.T) {
	tb := table(t, `server:
  reservedPrefixConfig: [{backendMode: MountedFile, usernamePrefixReserveList: ["system:masq"]}]
  mapRoles:
  - {rolearn: `+acct+`role/node, username: "system:node:{{EC2PrivateDNSName}}", groups: ["system:nodes"]}
  - {rolearn: `+acct+`role/dev, username: "dev:{{SessionName}}", groups: ["{{SessionNameRaw}}", "{{AccessKeyID}}"]}
  - {rolearn: `+acct+`role/bad, username: "system:masquerade"}
`)
	tests := []struct{ role, session, want, err string }{
		{"dev", "a@b", "dev:a-b [a@b AKIA]", ""},
		{"dev", "{{AccessKeyID}}", "dev:{{AccessKeyID}} [{{AccessKeyID}} AKIA]", ""},
		{"node", "i-0123456789abcdef0", "system:node:ip-10-0-0-1 [system:nodes]", ""},
		{"node", "i-01234567", "", "no such instance"},
		{"node", "alice", "", `the session's name is no instance id, which {{EC2PrivateDNSName}} needs (it is "alice")`},
		{"bad", "x", "", `the user name begins with a reserved prefix: "system:masquerade" of s1 begins with "system:masq"`},
	}
	for _, tt := range tests {
		id := Identity{Canonical: acct + "role/" + tt.role, Session: tt.session, Account: "111122223333", AccessKeyID: "AKIA"}
		m, ok := tb.Lookup(id)
		if !ok {
			t.Fatalf("%s is not mapped", tt.role)
		}
		u, err := tb.User(t.Context(), m, id, dns{"i-0123456789abcdef0": "ip-10-0-0-1"})
		if message(err) != tt.err || err == nil && fmt.Sprintf("%s %v", u.Username, u.Groups) != tt.want {
			t.Errorf("%s, %s: %s %v, %v; want %s, %s", tt.role, tt.session, u.Username, u.Groups, err, tt.want, tt.err)
		}
	}
}

func TestNearMisses(t *testing.T) {
	const sso = "role/AWSReservedSSO_Admin_0123456789abcdef"
	tests := []struct{ entry, arn, want string }{
		{"rolearn: " + acct + "role/p/q/a", acct + "role/a", `path: the entry has the role's path "p/q", which STS leaves out, so it never matches`},
		{"rolearn: arn:aws-cn:iam::111122223333:role/a", acct + "role/a", "partition: it is aws-cn in the entry and aws in the question"},
		{"rolearn: arn:aws:iam::111122223332:role/abc", acct + "role/abc", "account: it is 111122223332 in the entry and 111122223333 in the question, one digit apart"},
		{"rolearn: arn:aws:iam::444455556666:role/abc", acct + "role/abc", "account: it is 444455556666 in the entry and 111122223333 in the question"},
		{"rolearn: arn:aws:iam:::role/abc", acct + "role/abc", "account: it is empty in the entry and 111122223333 in the question"},
		{"rolearn: arn:aws:iam::444455556666:role/p/abc", acct + "role/abc", `account and path: it is 444455556666 in the entry and 111122223333 in the question; the entry has the role's path "p", which STS leaves out, so it never matches`},
		{"rolearn: " + acct + "role/devs", acct + "role/dev", "spelling: devs in the entry, dev in the question"},
		{"rolearn: " + acct + "roles/dev", acct + "role/dev", "spelling: roles/ where role/ belongs"},
		{"rolearn: arn:aws:iam:eu-west-1:111122223333:role/dev", acct + "role/dev", "spelling: the ARN is of iam in eu-west-1 where it must be of iam, without a region"},
		{"rolearn: am:aws:iam::111122223333:role/dev", acct + "role/dev", ""},
		{"rolearn: ar:aws:iam::111122223333:role/dev", acct + "role/dev", `spelling: "ar:aws:iam::111122223333:role/dev" is no ARN, one letter is wrong`},
		{"rolearn: '" + acct + "role/dev '", acct + "role/dev", "spelling: there are blanks around the ARN"},
		{"rolearn: " + acct + "user/dev", acct + "role/dev", "kind: the entry names a user and the question a role"},
		{"rolearn: " + acct + "group/dev", acct + "role/dev", "kind: the entry names a group and the question a role"},
		{"rolearn: " + acct + "instance-profile/dev", acct + "role/dev", "kind: the entry names an instance-profile and the question a role"},
		{"rolearn: arn:aws:sts::111122223333:assumed-role/dev/bob", acct + "role/dev", "kind: the entry has the ARN of a session (assumed-role) where that of the role belongs"},
		{"rolearn: '" + acct + "role/d*'", acct + "role/dev", "spelling: the entry has a wildcard, which is not read in an ARN"},
		{"userarn: " + acct + "role/dev", acct + "role/dev", ""}, // it matches
		{"rolearn: " + acct + "role/AWSReservedSSO_Admin_fedcba9876543210", acct + sso, "spelling: the permission set is the same, its role's suffix is fedcba9876543210 in the entry and 0123456789abcdef in the question; it changes when the set is assigned anew"},
		{"rolearn: " + acct + "role/AWSReservedSSO_Admin", acct + sso, "spelling: the entry leaves out the role's suffix 0123456789abcdef"},
		{"rolearn: " + acct + "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef", acct + sso, `path: the entry has the role's path "aws-reserved/sso.amazonaws.com", which STS leaves out, so it never matches`},
		{"sso: {permissionSetName: Admin, accountID: '111122223333', partition: aws-cn}", acct + sso, "partition: it is aws-cn in the entry and aws in the question"},
		{"sso: {permissionSetName: Admin, accountID: '444455556666'}", acct + sso, "account: it is 444455556666 in the entry and 111122223333 in the question"},
		{"sso: {permissionSetName: Admins, accountID: '111122223333'}", acct + sso, "spelling: the permission set is Admins in the entry and admin in the question"},
		{"roleARN: " + acct + "role/dev", acct + "role/dev", `case: its key is "roleARN" and must be rolearn, so the entry has no ARN`},
		{"role_arn: " + acct + "role/dev", acct + "role/dev", `spelling: its key is "role_arn" and must be rolearn, so the entry has no ARN`},
		{"rolearn: " + acct + "role/other", acct + "role/dev", ""},
		{"rolearn: " + acct + "role/ab", acct + "role/xy", ""},
	}
	for _, tt := range tests {
		x, err := table(t, "- "+tt.entry+"\n  username: x\n- rolearn: "+acct+"role/zzzzzz\n  username: z\n").Explain(Question{ARN: tt.arn})
		if err != nil {
			t.Errorf("%s: %v", tt.entry, err)
			continue
		}
		got := ""
		if len(x.NearMisses) > 0 {
			got = x.NearMisses[0].Reason
		}
		if got != tt.want || len(x.NearMisses) > 1 {
			t.Errorf("%s: %s: %v\nwant %s", tt.entry, tt.arn, x.NearMisses, tt.want)
		}
	}
}

// big returns a config file, an aws-auth ConfigMap and a dynamic file of n
// roles.
func big(n int) map[string][]byte {
	var config, auth, dynamic strings.Builder
	config.WriteString("clusterID: c\nserver:\n  mapRoles:\n")
	auth.WriteString("kind: ConfigMap\nmetadata: {name: aws-auth, namespace: kube-system}\ndata:\n  mapRoles: |\n")
	dynamic.WriteString(`{"mapRoles": [`)
	for i := range n {
		role := fmt.Sprintf("%srole/team-%d-deployer", acct, i)
		fmt.Fprintf(&config, "  - roleARN: %s\n    username: team-%d:{{SessionName}}\n    groups:\n    - team-%d\n", role, i, i)
		fmt.Fprintf(&auth, "    - rolearn: %s\n      username: team-%d:{{SessionName}}\n      groups:\n      - team-%d\n", role, i, i)
		if i > 0 {
			dynamic.WriteString(",\n")
		}
		fmt.Fprintf(&dynamic, `{"rolearn": %q, "username": "team-%d:{{SessionName}}", "groups": ["team-%d"]}`, role, i, i)
	}
	dynamic.WriteString("]}")
	return map[string][]byte{"config": []byte(config.String()), "aws-auth": []byte(auth.String()), "dynamic": []byte(dynamic.String())}
}

func BenchmarkLookup10000(b *testing.B) {
	tb := table(b, string(big(10000)["config"]))
	id := Identity{Canonical: acct + "role/team-7777-Deployer", Account: "111122223333"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tb.Lookup(id); !ok {
			b.Fatal("not mapped")
		}
	}
}

func BenchmarkReload10000(b *testing.B) {
	for name, data := range big(10000) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				sources, err := Read("x", data)
				if err != nil {
					b.Fatal(err)
				}
				if NewTable(sources...).Len() != 10000 {
					b.Fatal("not all are there")
				}
			}
		})
	}
}

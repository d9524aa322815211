package iammap

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestConvertKeepsEffects: what a format can hold is the same after a
// conversion, and what it can not hold is listed.
func TestConvertKeepsEffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("clusterID: c\nserver:\n  mapRoles:\n  - {roleARN: 'arn:aws:iam::111122223333:role/first', username: first, groups: [f]}\n")
		users := ""
		n := rapid.IntRange(0, 6).Draw(t, "n")
		for i := range n {
			name := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9+=,.@_-]{0,8}`).Draw(t, "name")
			user := rapid.StringMatching(`[a-z: #"'&*!|>%@{}-]{0,8}(\{\{SessionName\}\})?`).Draw(t, "user")
			group := rapid.StringMatching(`[a-z:# "'-]{1,8}`).Draw(t, "group")
			entry := func(kind string) string {
				return fmt.Sprintf("'arn:aws:iam::111122223333:%s/%s', username: %q, groups: [%q, x%d]}\n", kind, name, user, group, i)
			}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				users += "  - {userARN: " + entry("user")
			case 1:
				fmt.Fprintf(&b, "  - {sso: {permissionSetName: '%s', accountID: '111122223333'}, username: %q, groups: [%q]}\n", name, user, group)
			default:
				b.WriteString("  - {roleARN: " + entry("role"))
			}
		}
		if users != "" {
			b.WriteString("  mapUsers:\n" + users)
		}
		if rapid.Bool().Draw(t, "account") {
			b.WriteString("  mapAccounts: ['012345678901']\n")
		}
		sources, err := Read("a", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		if err := sources[0].Err(); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		before := NewTable(sources...)
		for _, to := range Formats() {
			data, lost, err := Convert(before, to, ConvertOptions{ClusterName: "c"})
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read("b", data)
			if err != nil {
				t.Fatalf("%s: %v in\n%s", to, err, data)
			}
			if len(again) != 1 || again[0].Format != to && to != ConfigFile {
				t.Fatalf("%s comes back as %v:\n%s", to, again[0].Format, data)
			}
			changes, _ := Diff(before, NewTable(again...))
			for _, c := range changes {
				named := false
				for _, l := range lost {
					named = named || l.Line == c.Old.Entry.Pos.Line
				}
				if !named {
					t.Fatalf("%s loses without a word: %s %v %v\n%s\n%s", to, c.Key, c.Details, lost, b.String(), data)
				}
			}
		}
	})
}

func TestDiff(t *testing.T) {
	const r = "arn:aws:iam::111122223333:role/"
	before := table(t, `
- {rolearn: `+r+`same, username: same, groups: [a, b]}
- {rolearn: `+r+`p/path, username: p, groups: [a]}
- {rolearn: `+r+`gone, username: gone, groups: [a]}
- {rolearn: `+r+`admin, username: "a:{{SessionName}}", groups: ["system:masters"]}
- {rolearn: `+r+`node, username: "system:node:{{EC2PrivateDNSName}}", groups: ["system:bootstrappers", "system:nodes"]}
- {rolearn: `+r+`other, username: o, groups: [a, b]}
`)
	after := table(t, `{"accessEntries": [
{"principalArn": "`+r+`SAME", "username": "same", "kubernetesGroups": ["b", "a"]},
{"principalArn": "`+r+`x/new", "username": "new"},
{"principalArn": "`+r+`admin", "username": "a:{{SessionName}}", "associatedAccessPolicies": [{"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", "accessScope": {"type": "cluster"}}]},
{"principalArn": "`+r+`node", "type": "EC2_LINUX"},
{"principalArn": "`+r+`other", "username": "p", "kubernetesGroups": ["b", "c"]}]}`)
	changes, alike := Diff(before, after)
	var got []string
	for _, c := range changes {
		got = append(got, c.What+" "+c.Key+": "+strings.Join(c.Details, "; "))
	}
	want := []string{
		"removed " + r + "gone: nobody then: user gone, groups a",
		"added " + r + "new: user new, no groups",
		"changed " + r + "other: user name: o becomes p; loses group a; gets group c",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(alike) != 2 || !strings.HasSuffix(alike[0].Key, "admin") || !strings.HasSuffix(alike[1].Key, "node") {
		t.Errorf("alike: %v", alike)
	}
}

package iammap

import "testing"

func TestCanonical(t *testing.T) {
	tests := []struct {
		arn  string
		kind Kind
		want string
		err  string
	}{
		{"arn:aws:iam::123456789012:user/Alice", User, "arn:aws:iam::123456789012:user/Alice", ""},
		{"arn:aws:iam::123456789012:user/team/Alice", User, "arn:aws:iam::123456789012:user/team/Alice", ""},
		{"arn:aws:iam::123456789012:role/Users", Role, "arn:aws:iam::123456789012:role/Users", ""},
		{"arn:aws:sts::123456789012:assumed-role/Admin/Session", AssumedRole, "arn:aws:iam::123456789012:role/Admin", ""},
		{"arn:aws:sts::123456789012:assumed-role/Org/Team/Admin/Session", AssumedRole, "arn:aws:iam::123456789012:role/Org/Team/Admin", ""},
		{"arn:aws:sts::123456789012:federated-user/Bob", FederatedUser, "arn:aws:sts::123456789012:federated-user/Bob", ""},
		{"arn:aws:iam::123456789012:root", Root, "arn:aws:iam::123456789012:root", ""},
		{"arn:aws-iso-b:iam::123456789012:user/Chris", User, "arn:aws-iso-b:iam::123456789012:user/Chris", ""},
		{"arn:aws-eusc:sts::123456789012:assumed-role/A/s", AssumedRole, "arn:aws-eusc:iam::123456789012:role/A", ""},
		{"", "", "", "no ARN"},
		{"NOT AN ARN", "", "", `"NOT AN ARN" is no ARN: it does not begin with "arn:"`},
		{"arn:aws:iam:123456789012:role/x", "", "", `"arn:aws:iam:123456789012:role/x" is no ARN: it has 5 of six parts (arn:partition:service:region:account:resource)`},
		{"arn:aws-x:iam::123456789012:role/x", "", "", `"arn:aws-x:iam::123456789012:role/x": there is no AWS partition "aws-x"`},
		{"arn:aws:iam::1234:role/x", "", "", `"arn:aws:iam::1234:role/x": an AWS account is twelve digits, not "1234"`},
		{"arn:aws:iam::123456789012:role/", "", "", `"arn:aws:iam::123456789012:role/": the role has no name`},
		{"arn:aws:sts::123456789012:assumed-role/x", "", "", `"arn:aws:sts::123456789012:assumed-role/x": an assumed-role ARN names a role and a session`},
		{"arn:aws:sts::123456789012:assumed-role//s", "", "", `"arn:aws:sts::123456789012:assumed-role//s": an assumed-role ARN names a role and a session`},
		{"arn:aws:iam::123456789012:group/x", "", "", `"arn:aws:iam::123456789012:group/x": STS never answers with a group of service iam (a role, a user, the root user or a federated user it can be)`},
		{"arn:aws:s3:::bucket", "", "", `"arn:aws:s3:::bucket": an AWS account is twelve digits, not ""`},
	}
	for _, tt := range tests {
		kind, got, err := Canonical(tt.arn)
		if message(err) != tt.err || got != tt.want || kind != tt.kind {
			t.Errorf("Canonical(%q) = %q, %q, %v; want %q, %q, %s", tt.arn, kind, got, err, tt.kind, tt.want, tt.err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLike(t *testing.T) {
	const arn = "arn:aws:iam::000000000000:role/some-role"
	tests := []struct {
		pattern, arn string
		want         bool
	}{
		{arn, arn, true},
		{"ARN:AWS:iam::000000000000:role/SOME-role", arn, true},
		{"arn:aws:iam::000000000000:*", arn, true},
		{"arn:*:*:*:*:*", arn, true},
		{"arn:aws:iam::000000000000:**", arn, true},
		{"arn:aws:iam::000000000000:*role*", arn, true},
		{"arn:aws:iam::000000000000:ro*", arn, true},
		{"arn:aws:iam::000000000000:??????????????", arn, true},
		{"arn:aws:iam::000000000000:???????????????", arn, false}, // the peer's ? takes none as well
		{"arn:aws:iam::000000000000:role/some-role?", arn, false},
		{"arn:aws:t::0:some/new-[r]{x}\\y", "arn:aws:t::0:some/new-[r]{x}\\y", true},
		{"arn:aws:t::0:some/new-[re*", "arn:aws:t::0:some/new-[reso]", true},
		{arn, "arn:aws:iam::111111111111:role/some-role", false},
		{"arn:aws:testservice::**:delims", "arn:aws:testservice::000000000000:some/wacky:resource:with:colon:delims", false},
		{"arn:*", arn, false},
		{arn, "nar", false},
		{"arn:aws:iam::000000000000:role/a*b*c", "arn:aws:iam::000000000000:role/aXbYbZc", true},
		{"arn:aws:iam::000000000000:role/a*b*c", "arn:aws:iam::000000000000:role/aXbYbZ", false},
	}
	for _, tt := range tests {
		if got := Like(tt.pattern, tt.arn); got != tt.want {
			t.Errorf("Like(%q, %q) = %v", tt.pattern, tt.arn, got)
		}
	}
}

func TestNear(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"admin", "admins", true}, {"admins", "admin", true}, {"admin", "admon", true}, {"amdin", "admin", true},
		{"dmin", "admin", true}, {"admin", "admin", false}, {"admin", "admino1", false}, {"ab", "ba", true},
		{"abc", "cba", false}, {"", "a", true}, {"", "", false}, {"a", "b", true}, {"admni", "admin", true},
	}
	for _, tt := range tests {
		if got := near(tt.a, tt.b); got != tt.want {
			t.Errorf("near(%q, %q) = %v", tt.a, tt.b, got)
		}
		if near(tt.a, tt.b) != near(tt.b, tt.a) {
			t.Errorf("near(%q, %q) depends on the order", tt.a, tt.b)
		}
	}
}

func TestRender(t *testing.T) {
	values := map[string]string{"AccountID": "1", "SessionName": "{{AccountID}}", "SessionNameRaw": "a@b", "Empty": ""}
	tests := []struct{ template, want string }{
		{"", ""},
		{"plain", "plain"},
		{"aws:{{AccountID}}:x", "aws:1:x"},
		{"{{AccountID}}{{AccountID}}", "11"},
		{"{{SessionName}}", "{{AccountID}}"}, // one pass: the value is not read again
		{"{{SessionNameRaw}}", "a@b"},
		{"{{Unknown}}{{AccountID}}", "{{Unknown}}1"},
		{"{{ AccountID }}", "{{ AccountID }}"},
		{"{{{AccountID}}}", "{1}"},
		{"{{AccountID", "{{AccountID"},
		{"{{{{AccountID}}}}", "{{1}}"},
		{"a{{", "a{{"},
		{"}}{{Empty}}{{", "}}{{"},
	}
	for _, tt := range tests {
		if got := Render(tt.template, values); got != tt.want {
			t.Errorf("Render(%q) = %q, want %q", tt.template, got, tt.want)
		}
	}
}

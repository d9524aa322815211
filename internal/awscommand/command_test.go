package awscommand

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	o, err := Parse(strings.Fields("--profile p token -i=a=b -rarn:aws:iam::123456789012:role/x --role arn:aws:iam::123456789012:role/y -s me -e ext --region eu-west-1 --host a=b"))
	if err == nil || err.Error() != "--identity and --host belong to get-credentials" {
		t.Error(err)
	}
	o, err = Parse(strings.Fields("--profile p token -ia=b -rarn:aws:iam::123456789012:role/x --role arn:aws:iam::123456789012:role/y -s me -e ext --region eu-west-1"))
	if err != nil || o.ClusterID != "a=b" || len(o.Roles) != 2 || o.SessionName != "me" || o.ExternalID != "ext" || o.Region != "eu-west-1" || o.Profile != "p" {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := Parse([]string{"get-credentials", "--host", "a=b", "--host=c=d", "--identity", "node"}); err != nil || strings.Join(o.Hosts, " ") != "a=b c=d" {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := Parse([]string{"--version"}); err != nil || o.Command != Version {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := Parse([]string{"--", "token"}); err == nil {
		t.Errorf("%+v", o)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("token --cluster-name demo")
	f.Add("token -i")
	f.Add("- -- --= -=")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := Parse(strings.Split(line, " "))
		if err == nil && o.Command == "" {
			t.Errorf("%q is nothing", line)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", line, err)
		}
	})
}

package awsread

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

func settings(server string) aws.Config {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""), BaseEndpoint: aws.String(server)}
}

// fakeEKS serves access entries as the API does.
func fakeEKS(entries map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := url.PathUnescape(r.URL.EscapedPath())
		if err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		rest := strings.TrimPrefix(path, "/clusters/prod/access-entries")
		rest, policies := strings.CutSuffix(rest, "/access-policies")
		arn := strings.TrimPrefix(rest, "/")
		switch {
		case arn == "" && r.URL.Query().Get("nextToken") == "":
			fmt.Fprint(w, `{"accessEntries": ["arn:aws:iam::111122223333:role/a"], "nextToken": "more"}`)
		case arn == "":
			fmt.Fprint(w, `{"accessEntries": ["arn:aws:iam::111122223333:role/b", "arn:aws:iam::111122223333:role/gone"]}`)
		case policies:
			fmt.Fprint(w, `{"associatedAccessPolicies": [{"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", "accessScope": {"type": "namespace", "namespaces": ["web"]}}]}`)
		case entries[arn] == "":
			w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message": "no such entry"}`)
		default:
			fmt.Fprint(w, entries[arn])
		}
	})
}

func TestAccessEntries(t *testing.T) {
	srv := httptest.NewServer(fakeEKS(map[string]string{
		"arn:aws:iam::111122223333:role/a": `{"accessEntry": {"principalArn": "arn:aws:iam::111122223333:role/a", "type": "STANDARD", "username": "a:{{SessionName}}", "kubernetesGroups": ["x"]}}`,
		"arn:aws:iam::111122223333:role/b": `{"accessEntry": {"principalArn": "arn:aws:iam::111122223333:role/b", "type": "EC2_LINUX"}}`,
	}))
	defer srv.Close()
	data, err := AccessEntries(t.Context(), settings(srv.URL), "prod")
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ AccessEntries []accessEntry }
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.AccessEntries) != 2 || got.AccessEntries[0].Username != "a:{{SessionName}}" || got.AccessEntries[1].Type != "EC2_LINUX" ||
		got.AccessEntries[0].Policies[0].AccessScope.Namespaces[0] != "web" {
		t.Errorf("%s", data)
	}
	if _, err := AccessEntries(t.Context(), settings(srv.URL), "other"); err == nil || !strings.HasPrefix(err.Error(), "access entries of other: ") {
		t.Errorf("another cluster: %v", err)
	}
}

func TestPrivateDNSNames(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "DescribeInstances" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/ec2/aws4_request") {
			t.Errorf("asked %v, %v", r.Form, r.Header)
		}
		var ids []string
		for i := 1; r.Form.Get(fmt.Sprintf("InstanceId.%d", i)) != ""; i++ {
			ids = append(ids, r.Form.Get(fmt.Sprintf("InstanceId.%d", i)))
		}
		if calls == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors></Response>`)
			return
		}
		if strings.Contains(strings.Join(ids, " "), "i-gone") {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance IDs 'i-gone' do not exist</Message></Error></Errors></Response>`)
			return
		}
		fmt.Fprint(w, `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>`)
		for _, id := range ids {
			fmt.Fprintf(w, `<item><instancesSet><item><instanceId>%s</instanceId><privateDnsName>ip-%s.internal</privateDnsName></item></instancesSet></item>`, id, id)
		}
		fmt.Fprint(w, `</reservationSet></DescribeInstancesResponse>`)
	}))
	defer srv.Close()
	getenv := func(name string) string {
		if name == "AWS_ENDPOINT_URL_EC2" {
			return srv.URL
		}
		return ""
	}
	e := NewEC2(settings(srv.URL), "", "", getenv)
	got, err := e.PrivateDNSNames(t.Context(), []string{"i-1", "i-gone", "i-2"})
	if err != nil || len(got) != 2 || got["i-2"] != "ip-i-2.internal" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = e.PrivateDNSNames(t.Context(), []string{"i-gone"}); err != nil || len(got) != 0 {
		t.Errorf("an instance that is gone: %v, %v", got, err)
	}
	if calls != 4 {
		t.Errorf("%d calls", calls)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		status     int
		data, want string
	}{
		{200, "<html></html>", "ec2:DescribeInstances: the answer is not EC2's"},
		{200, "", "ec2:DescribeInstances: the answer is not EC2's"},
		{403, "<html>", "ec2:DescribeInstances: status 403: with an answer that is not EC2's"},
		{403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors></Response>",
			"ec2:DescribeInstances: UnauthorizedOperation: You are not authorized to perform this operation."},
	}
	for _, tt := range tests {
		if _, err := parse(tt.status, []byte(tt.data)); err == nil || err.Error() != tt.want {
			t.Errorf("parse(%d, %q): %v, want %s", tt.status, tt.data, err, tt.want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	none := func(string) string { return "" }
	for region, want := range map[string]string{
		"eu-west-1": "https://ec2.eu-west-1.amazonaws.com/", "cn-north-1": "https://ec2.cn-north-1.amazonaws.com.cn/",
		"us-gov-west-1": "https://ec2.us-gov-west-1.amazonaws.com/", "us-iso-east-1": "https://ec2.us-iso-east-1.c2s.ic.gov/",
	} {
		if got := endpoint(aws.Config{Region: region}, none); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestLoadWantsARegion(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if _, err := Load(context.Background(), ""); err == nil || err.Error() != "no AWS region: set AWS_REGION or --region" {
		t.Error(err)
	}
	if c, err := Load(context.Background(), "eu-west-1"); err != nil || c.Region != "eu-west-1" {
		t.Error(c.Region, err)
	}
}

package awsfake_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

func start(t *testing.T) (*awsfake.Server, aws.Config) {
	t.Helper()
	s, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, aws.Config{
		Region:           "eu-west-1",
		BaseEndpoint:     aws.String(s.URL),
		Credentials:      credentials.NewStaticCredentialsProvider(awsfake.UserKey, awsfake.UserSecret, ""),
		RetryMaxAttempts: 1,
	}
}

// code is the AWS error code in err.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// AWS's own client is the judge: what it signs passes, what it reads is whole.
func TestAsTheSDKSeesIt(t *testing.T) {
	s, cfg := start(t)
	ctx := t.Context()

	id, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil || *id.Arn != awsfake.UserARN || *id.Account != awsfake.Account {
		t.Fatalf("%+v, %v", id, err)
	}

	role := cfg.Copy()
	role.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), awsfake.AdminRole, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "tester"
	}))
	id, err = sts.NewFromConfig(role).GetCallerIdentity(ctx, nil)
	if err != nil || *id.Arn != "arn:aws:sts::123456789012:assumed-role/admin/tester" || *id.UserId != "AROAEXAMPLEADMIN:tester" {
		t.Fatalf("%+v, %v", id, err)
	}

	web := cfg.Copy()
	web.Credentials = stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), awsfake.AdminRole, token("web-identity-token"))
	if _, err := sts.NewFromConfig(web).GetCallerIdentity(ctx, nil); err != nil {
		t.Fatal(err)
	}
	web.Credentials = stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), awsfake.AdminRole, token("forged"))
	if _, err := sts.NewFromConfig(web).GetCallerIdentity(ctx, nil); code(err) != "InvalidIdentityToken" {
		t.Fatal(err)
	}

	c, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("demo")})
	if err != nil || *c.Cluster.Arn != "arn:aws:eks:eu-west-1:123456789012:cluster/demo" || *c.Cluster.CertificateAuthority.Data == "" {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("gone")}); code(err) != "ResourceNotFoundException" {
		t.Fatal(err)
	}
	pages := eks.NewListClustersPaginator(eks.NewFromConfig(cfg), &eks.ListClustersInput{MaxResults: aws.Int32(1)})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.Clusters...)
	}
	if strings.Join(names, " ") != "demo stage" {
		t.Fatal(names)
	}

	reg, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pw, _ := base64.StdEncoding.DecodeString(*reg.AuthorizationData[0].AuthorizationToken); string(pw) != "AWS:ecr-pass" {
		t.Fatalf("%s", pw)
	}
	public := cfg.Copy()
	public.Region = "us-east-1"
	if _, err := ecrpublic.NewFromConfig(public).GetAuthorizationToken(ctx, nil); err != nil {
		t.Fatal(err)
	}

	bad := cfg.Copy()
	bad.Credentials = credentials.NewStaticCredentialsProvider(awsfake.UserKey, "wrong", "")
	for _, err := range []error{
		second(sts.NewFromConfig(bad).GetCallerIdentity(ctx, nil)),
		second(eks.NewFromConfig(bad).ListClusters(ctx, nil)),
		second(ecr.NewFromConfig(bad).GetAuthorizationToken(ctx, nil)),
	} {
		if c := code(err); c != "SignatureDoesNotMatch" && c != "InvalidSignatureException" {
			t.Errorf("a wrong secret: %v", err)
		}
	}
	if n := len(s.Calls("sts:GetCallerIdentity refused")); n != 1 {
		t.Errorf("%d refused calls noted", n)
	}
}

func second[T any](_ T, err error) error { return err }

type token string

func (t token) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

func TestMetadata(t *testing.T) {
	s, _ := start(t)
	ctx := t.Context()
	client := imds.New(imds.Options{Endpoint: s.URL, ClientEnableState: imds.ClientEnabled})
	out, err := client.GetMetadata(ctx, &imds.GetMetadataInput{Path: "iam/security-credentials/"})
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := io.ReadAll(out.Content); string(name) != "node" {
		t.Fatalf("%s", name)
	}
	region, err := client.GetRegion(ctx, nil)
	if err != nil || region.Region != "eu-west-1" {
		t.Fatalf("%+v, %v", region, err)
	}
	resp, err := http.Get(s.URL + "/latest/meta-data/iam/security-credentials/")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("version 1 answers: %v %v", resp, err)
	}
	_ = resp.Body.Close()

	p := endpointcreds.New(s.URL+"/v1/credentials", func(o *endpointcreds.Options) { o.AuthorizationToken = "container-token" })
	if c, err := p.Retrieve(ctx); err != nil || !strings.HasPrefix(c.AccessKeyID, "ASIA") || !c.CanExpire {
		t.Fatalf("%+v, %v", c.AccessKeyID, err)
	}
	p = endpointcreds.New(s.URL+"/v1/credentials", func(o *endpointcreds.Options) { o.AuthorizationToken = "other" })
	if _, err := p.Retrieve(ctx); err == nil {
		t.Fatal("any token is taken")
	}
}

// call sends a token's URL as a cluster's server would.
func call(t *testing.T, client *http.Client, base string, tok ekstoken.Token, cluster string) (int, string) {
	t.Helper()
	u, err := url.Parse(tok.URL)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tok.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if base != "" {
		req.URL, _ = url.Parse(base + "/?" + u.RawQuery)
		req.Host = u.Host
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set(ekstoken.ClusterHeader, cluster)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func newToken(t *testing.T, at time.Time) ekstoken.Token {
	t.Helper()
	e, err := ekstoken.EndpointFor("eu-west-1", false, false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}, ekstoken.Request{ClusterID: "demo", Endpoint: e, Time: at})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := ekstoken.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPresignedURL(t *testing.T) {
	s, _ := start(t)
	now := time.Now()
	status, body := call(t, http.DefaultClient, s.URL, newToken(t, now), "demo")
	var out struct {
		GetCallerIdentityResponse struct {
			GetCallerIdentityResult struct{ Account, Arn, UserID string }
		}
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 || out.GetCallerIdentityResponse.GetCallerIdentityResult.Arn != awsfake.UserARN {
		t.Fatalf("%d %s %v", status, body, err)
	}
	for name, tt := range map[string]struct {
		at      time.Time
		cluster string
		want    string
	}{
		"another cluster": {now, "other", "SignatureDoesNotMatch"},
		"too old":         {now.Add(-16 * time.Minute), "demo", "Signature expired"},
		"from the future": {now.Add(6 * time.Minute), "demo", "not yet current"},
	} {
		if status, body := call(t, http.DefaultClient, s.URL, newToken(t, tt.at), tt.cluster); status != http.StatusForbidden || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	s.Skew(20 * time.Minute)
	if status, _ := call(t, http.DefaultClient, s.URL, newToken(t, now), "demo"); status != http.StatusForbidden {
		t.Errorf("a skewed clock takes it: %d", status)
	}
	s.Mend()
	if status, _ := call(t, http.DefaultClient, s.URL, newToken(t, now), "demo"); status != http.StatusOK {
		t.Errorf("mended: %d", status)
	}
}

func TestProxy(t *testing.T) {
	s, _ := start(t)
	p, err := s.StartProxy()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CA)
	proxy, _ := url.Parse(p.URL)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	for range 2 {
		if status, body := call(t, client, "", newToken(t, time.Now()), "demo"); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if calls := s.Calls("sts:GetCallerIdentity"); len(calls) != 2 || calls[0].Host != "sts.eu-west-1.amazonaws.com" {
		t.Fatalf("%+v", calls)
	}
	plain, err := http.Get(p.URL)
	if err != nil || plain.StatusCode != http.StatusMethodNotAllowed {
		t.Fatal(plain, err)
	}
	_ = plain.Body.Close()
}

func TestFaults(t *testing.T) {
	s, cfg := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := sts.NewFromConfig(cfg)
	try := func() error { return second(client.GetCallerIdentity(ctx, nil)) }

	s.Fail(awsfake.Fault{Action: "sts:GetCallerIdentity", Throttle: true, Times: 1})
	if err := try(); code(err) != "Throttling" {
		t.Fatal(err)
	}
	s.Fail(awsfake.Fault{Action: "*", Status: 503, Times: 1})
	if err := try(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatal(err)
	}
	s.Fail(awsfake.Fault{Action: "*", Reset: true, Times: 1})
	if err := try(); err == nil || code(err) != "" {
		t.Fatal(err)
	}
	s.Fail(awsfake.Fault{Action: "sts:AssumeRole", Reset: true})
	s.Fail(awsfake.Fault{Action: "sts:GetCallerIdentity", Code: "IDPCommunicationError", Message: "no"})
	if err := try(); code(err) != "IDPCommunicationError" {
		t.Fatal(err)
	}
	s.Mend()
	s.Fail(awsfake.Fault{Action: "*", Delay: time.Hour, Times: 1})
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := client.GetCallerIdentity(short, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}
}

package awsread

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// EC2 asks for private DNS names of instances. It signs one call of EC2's
// query API with the SDK's signer: the SDK's own package for EC2 has hundreds
// of calls and is larger than all the rest of this program.
type EC2 struct {
	config   aws.Config
	endpoint string
	client   *http.Client
	retryer  aws.Retryer
	now      func() time.Time
}

// NewEC2 returns a describer for the region of the configuration. role, where
// given, is assumed for it (ec2DescribeInstancesRoleARN), with sourceARN as
// the context that guards against confused deputies. getenv names the
// endpoint's own setting.
func NewEC2(c aws.Config, role, sourceARN string, getenv func(string) string) *EC2 {
	if role != "" {
		client := sts.NewFromConfig(c, func(o *sts.Options) {
			if a := strings.Split(sourceARN, ":"); len(a) == 6 {
				o.APIOptions = append(o.APIOptions,
					smithyhttp.SetHeaderValue("X-Amz-Source-Arn", sourceARN), smithyhttp.SetHeaderValue("X-Amz-Source-Account", a[4]))
			}
		})
		c.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role))
	}
	return &EC2{
		config: c, endpoint: endpoint(c, getenv), retryer: retry.NewStandard(), now: time.Now,
		client: &http.Client{
			Timeout:       5 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// endpoint is that of EC2 in a region, unless a setting says otherwise.
func endpoint(c aws.Config, getenv func(string) string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"} {
		if v := getenv(name); v != "" && !strings.EqualFold(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
			return strings.TrimSuffix(v, "/") + "/"
		}
	}
	suffix := "amazonaws.com"
	for prefix, s := range map[string]string{
		"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov", "eu-isoe-": "cloud.adc-e.uk",
		"us-isof-": "csp.hci.ic.gov", "eusc-": "amazonaws.eu",
	} {
		if strings.HasPrefix(c.Region, prefix) {
			suffix = s
		}
	}
	return "https://ec2." + c.Region + "." + suffix + "/"
}

// maxEC2Answer bounds the answer about a hundred instances, in bytes.
const maxEC2Answer = 8 << 20

// PrivateDNSNames implements authenticator.Describer. Instances that EC2 does
// not know are left out: it refuses a whole question for one of them, so the
// others are asked for again without it.
func (e *EC2) PrivateDNSNames(ctx context.Context, ids []string) (map[string]string, error) {
	for range 4 {
		names, err := e.try(ctx, ids)
		if err == nil {
			return names, nil
		}
		unknown := unknownInstances(err)
		if len(unknown) == 0 {
			return nil, err
		}
		left := ids[:0:0]
		for _, id := range ids {
			if !unknown[id] {
				left = append(left, id)
			}
		}
		if len(left) == len(ids) {
			return nil, err
		}
		if ids = left; len(ids) == 0 {
			return map[string]string{}, nil
		}
	}
	return nil, errors.New("EC2 refuses instance after instance")
}

// try makes the call, again where the SDK's rules say that it may help.
func (e *EC2) try(ctx context.Context, ids []string) (map[string]string, error) {
	var err error
	for attempt := 1; attempt <= e.retryer.MaxAttempts(); attempt++ {
		var names map[string]string
		if names, err = e.describe(ctx, ids); err == nil || !e.retryer.IsErrorRetryable(err) {
			return names, err
		}
		wait, waitErr := e.retryer.RetryDelay(attempt, err)
		if waitErr != nil {
			break
		}
		select {
		case <-time.After(min(wait, time.Second)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
}

func (e *EC2) describe(ctx context.Context, ids []string) (map[string]string, error) {
	form := url.Values{"Action": {"DescribeInstances"}, "Version": {"2016-11-15"}}
	for i, id := range ids {
		form.Set("InstanceId."+strconv.Itoa(i+1), id)
	}
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if e.config.Credentials == nil {
		return nil, errors.New("no AWS credentials to ask EC2 with")
	}
	creds, err := e.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS credentials: %w", err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "ec2", e.config.Region, e.now()); err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxEC2Answer+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxEC2Answer {
		return nil, errors.New("EC2's answer is too long")
	}
	return parse(resp.StatusCode, data)
}

// apiError is an error of EC2. Its ErrorCode is what the SDK's retryer reads.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("ec2:DescribeInstances: %s: %s", e.code, e.message)
}
func (e *apiError) ErrorCode() string { return e.code }

func parse(status int, data []byte) (map[string]string, error) {
	if status != http.StatusOK {
		var e struct {
			Code    string `xml:"Errors>Error>Code"`
			Message string `xml:"Errors>Error>Message"`
		}
		if err := xml.Unmarshal(data, &e); err != nil || e.Code == "" {
			return nil, &apiError{status, "status " + strconv.Itoa(status), "with an answer that is not EC2's"}
		}
		return nil, &apiError{status, e.Code, e.Message}
	}
	var out struct {
		XMLName   xml.Name `xml:"DescribeInstancesResponse"`
		Instances []struct {
			ID   string `xml:"instanceId"`
			Name string `xml:"privateDnsName"`
		} `xml:"reservationSet>item>instancesSet>item"`
	}
	if err := xml.Unmarshal(data, &out); err != nil {
		return nil, errors.New("ec2:DescribeInstances: the answer is not EC2's")
	}
	names := map[string]string{}
	for _, i := range out.Instances {
		if i.Name != "" {
			names[i.ID] = i.Name
		}
	}
	return names, nil
}

var instanceID = regexp.MustCompile(`i-[0-9a-zA-Z]+`)

// unknownInstances reads out of an error which instances EC2 does not know.
func unknownInstances(err error) map[string]bool {
	e, ok := errors.AsType[*apiError](err)
	if !ok || !strings.HasPrefix(e.code, "InvalidInstanceID") {
		return nil
	}
	out := map[string]bool{}
	for _, id := range instanceID.FindAllString(e.message, -1) {
		out[id] = true
	}
	return out
}

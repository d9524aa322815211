package cloudwatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
)

// The questions, in the language of Logs Insights
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html).
const (
	onlyAudit  = "fields @timestamp, @message\n| filter @logStream like /kube-apiserver-audit/\n"
	inOrder    = "\n| sort @timestamp asc"
	marksQuery = onlyAudit + `| filter @message like /seconds after warning threshold/ or @message like /"code":401/` + inOrder
)

// accountsPerQuery keeps a query below the 10,000 characters that it may have.
const accountsPerQuery = 25

func accountsQuery(accounts []string) string {
	quoted := make([]string, len(accounts))
	for i, a := range accounts {
		quoted[i] = regexp.QuoteMeta(a)
	}
	return onlyAudit + `| filter @message like /"username":"(` + strings.Join(quoted, "|") + `)"/` + inOrder
}

var accountUser = regexp.MustCompile(`^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$`)

// markedAccount is the user of an event that carries the mark, "" for another.
func markedAccount(row []byte) string {
	var e struct {
		User        struct{ Username string }
		Annotations map[string]string
	}
	if json.Unmarshal(row, &e) != nil || e.Annotations["authentication.k8s.io/stale-token"] == "" || !accountUser.MatchString(e.User.Username) {
		return ""
	}
	return e.User.Username
}

// ask runs a task's query. Where the answer is as long as an answer can be, it
// may be cut: the time span is halved then, until each half's is shorter.
func (s *Source) ask(ctx context.Context, t task) ([][]byte, error) {
	rows, err := s.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(rows) < int(s.limit) {
		return rows, nil
	}
	seconds := int64(t.to.Sub(t.from) / time.Second)
	if seconds <= 1 {
		return rows, tooMany{int(s.limit), t.from}
	}
	middle := t.from.Add(time.Duration(seconds/2) * time.Second)
	first, err := s.ask(ctx, task{t.group, t.from, middle, t.query})
	var full tooMany
	if err != nil && !errors.As(err, &full) {
		return first, err
	}
	second, err2 := s.ask(ctx, task{t.group, middle, t.to, t.query})
	return append(first, second...), cmp.Or(err, err2)
}

// tooMany says that a second has more rows than a query may return.
type tooMany struct {
	limit int
	at    time.Time
}

func (e tooMany) Error() string {
	return fmt.Sprintf("more than %d requests in the second %s: Logs Insights shows no more", e.limit, e.at.Format(time.RFC3339))
}

// run starts a query and waits for its end.
func (s *Source) run(ctx context.Context, t task) (rows [][]byte, err error) {
	limit, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	started, err := s.client.StartQuery(limit, &cloudwatchlogs.StartQueryInput{
		LogGroupName: aws.String(t.group.LogGroup),
		QueryString:  aws.String(t.query),
		StartTime:    aws.Int64(t.from.Unix()),
		EndTime:      aws.Int64(t.to.Unix() - 1), // both ends are inclusive
		Limit:        aws.Int32(s.limit),
	})
	if err != nil {
		return nil, s.explain(t, err)
	}
	s.queries.Add(1)
	ended := false
	defer func() {
		if !ended {
			s.stop(ctx, started.QueryId)
		}
	}()
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	for {
		res, err := s.client.GetQueryResults(limit, &cloudwatchlogs.GetQueryResultsInput{QueryId: started.QueryId})
		if err != nil {
			return nil, s.explain(t, err)
		}
		switch res.Status {
		case types.QueryStatusComplete:
			ended = true
			if res.Statistics != nil {
				s.scanned.Add(int64(res.Statistics.BytesScanned))
			}
			return messages(res.Results), nil
		case types.QueryStatusFailed, types.QueryStatusCancelled, types.QueryStatusTimeout:
			ended = true
			return nil, fmt.Errorf("the query ended as %s", strings.ToLower(string(res.Status)))
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("the query was not done after %s", queryTime)
		case <-tick.C:
		}
	}
}

// stop ends a query that nobody waits for any more, so that it costs no more.
func (s *Source) stop(ctx context.Context, id *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = s.client.StopQuery(ctx, &cloudwatchlogs.StopQueryInput{QueryId: id})
}

func messages(results [][]types.ResultField) [][]byte {
	var rows [][]byte
	for _, r := range results {
		for _, f := range r {
			if aws.ToString(f.Field) == "@message" && aws.ToString(f.Value) != "" {
				// An event is one line; a shipper may have left its end on it.
				rows = append(rows, []byte(strings.Trim(aws.ToString(f.Value), "\r\n")))
			}
		}
	}
	return rows
}

// explain gives AWS's refusals their way out, and leaves its request ids away.
func (s *Source) explain(t task, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		if strings.Contains(err.Error(), "get credentials:") {
			return errors.New("no AWS credentials were found: log in (aws sso login), or set AWS_PROFILE")
		}
		return err
	}
	switch api.ErrorCode() {
	case "ResourceNotFoundException":
		return fmt.Errorf("there is no log group %s in %s: turn audit logging on (aws eks update-cluster-config --logging), or look at the name", t.group.LogGroup, s.at.Region)
	case "AccessDeniedException":
		return fmt.Errorf("AWS denies it: %s. It takes logs:StartQuery, logs:GetQueryResults and logs:StopQuery on %s", api.ErrorMessage(), t.group.LogGroup)
	case "ThrottlingException", "LimitExceededException":
		return fmt.Errorf("AWS throttles (%s), also after %d attempts", api.ErrorCode(), attempts)
	}
	return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
}

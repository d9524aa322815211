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

	"github.com/kubecred/kubecred/internal/lazyexp"
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

var accountUser = lazyexp.New(`^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$`)

// markedAccount is the user of an event that carries the mark, "" for another.
func markedAccount(row []byte) string {
	var e struct {
		User        struct{ Username string }
		Annotations map[string]string
	}
	if json.Unmarshal(row, &e) != nil || e.Annotations["authentication.k8s.io/stale-token"] == "" || !accountUser().MatchString(e.User.Username) {
		return ""
	}
	return e.User.Username
}

// ask runs a task's query. Where the answer is as long as an answer can be, it
// may be cut: the time span is halved then, until each half's is shorter.
func (s *Source) ask(ctx context.Context, t task) ([][]byte, error) {
	rows, found, err := s.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if found < int(s.limit) {
		if bare := found - len(rows); bare > 0 {
			return rows, lossy(fmt.Sprintf("%d of %d rows have no @message", bare, found))
		}
		return rows, nil
	}
	seconds := int64(t.to.Sub(t.from) / time.Second)
	if seconds <= 1 {
		return rows, lossy(fmt.Sprintf("more than %d requests in the second %s: Logs Insights shows no more", s.limit, t.from.Format(time.RFC3339)))
	}
	middle := t.from.Add(time.Duration(seconds/2) * time.Second)
	first, err := s.ask(ctx, task{t.group, t.from, middle, t.query})
	var less lossy
	if err != nil && !errors.As(err, &less) {
		return first, err
	}
	second, err2 := s.ask(ctx, task{t.group, middle, t.to, t.query})
	return append(first, second...), cmp.Or(err, err2)
}

// lossy says that an answer was taken though something of it is missing; other
// spans of time are still worth asking for.
type lossy string

func (e lossy) Error() string { return string(e) }

// run starts a query and waits for its end. It returns the rows' messages, and
// how many rows there were.
func (s *Source) run(ctx context.Context, t task) (rows [][]byte, found int, err error) {
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
		return nil, 0, s.explain(t, err)
	}
	s.queries.Add(1)
	ended := false
	defer func() {
		if !ended {
			s.stop(ctx, started.QueryId)
		}
	}()
	// Most queries are done within a second, some take minutes.
	pause := s.o.Poll / 8
	wait := time.NewTimer(pause)
	defer wait.Stop()
	for {
		res, err := s.client.GetQueryResults(limit, &cloudwatchlogs.GetQueryResultsInput{QueryId: started.QueryId})
		if err != nil {
			return nil, 0, s.explain(t, err)
		}
		switch res.Status {
		case types.QueryStatusComplete:
			ended = true
			if res.Statistics != nil {
				s.scanned.Add(int64(res.Statistics.BytesScanned))
			}
			return messages(res.Results), len(res.Results), nil
		case types.QueryStatusFailed, types.QueryStatusCancelled, types.QueryStatusTimeout:
			ended = true
			return nil, 0, fmt.Errorf("the query ended as %s", strings.ToLower(string(res.Status)))
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return nil, 0, ctx.Err()
			}
			return nil, 0, fmt.Errorf("the query was not done after %s", queryTime)
		case <-wait.C:
			pause = min(2*pause, s.o.Poll)
			wait.Reset(pause)
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

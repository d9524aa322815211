package cloudwatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go/logging"

	"github.com/kubecred/kubecred/auditlog"
)

// Options say what is asked for.
type Options struct {
	// From and To bound the time of the events, in whole seconds.
	From, To time.Time
	// MarksOnly leaves the second pass out: nothing is known of fresh tokens then.
	MarksOnly bool
	// Progress, if set, is called with lines for a person: what it will cost, and
	// what it did.
	Progress func(string)
	// Poll is the longest time between two looks at a query, MaxBackoff the longest
	// pause after a throttled call; 0 for 1 and 20 seconds.
	Poll, MaxBackoff time.Duration
}

// The bounds of a source.
const (
	rowLimit  = 10000            // of Logs Insights, for one query
	slice     = time.Hour        // the span of one stream
	parallel  = 4                // queries at once; an account may run 30
	queryTime = 15 * time.Minute // for one query; Logs Insights itself allows 60
	attempts  = 10               // of one call, when it is throttled
)

// Source asks the log groups of one region. It is an auditlog.Source.
type Source struct {
	at      Location
	o       Options
	client  *cloudwatchlogs.Client
	limit   int32
	scanned atomic.Int64 // bytes
	queries atomic.Int64
}

// New makes a source. It sends nothing yet but what finding credentials takes.
func New(ctx context.Context, at Location, o Options) (*Source, error) {
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 20 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.From, o.To = o.From.UTC().Truncate(time.Second), o.To.UTC().Truncate(time.Second)
	if !o.From.Before(o.To) {
		return nil, errors.New("the time to look at is empty")
	}
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(at.Region), config.WithLogger(logging.Nop{}), config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts, r.MaxBackoff, r.RateLimiter = attempts, o.MaxBackoff, ratelimit.None
			// Too many queries at once is said by this code, which is worth a wait.
			r.Retryables = append(r.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"LimitExceededException": {}}})
		})
	}))
	if err != nil {
		return nil, fmt.Errorf("%s%s: the AWS settings: %w", Scheme, at.Region, err)
	}
	client := cloudwatchlogs.NewFromConfig(c, func(co *cloudwatchlogs.Options) {
		if co.BaseEndpoint != nil {
			// The SDK refuses these beside an endpoint of one's own.
			co.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			co.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
	})
	return &Source{at: at, o: o, client: client, limit: rowLimit}, nil
}

// task is one time span of one log group, to be asked one question.
type task struct {
	group    Group
	from, to time.Time
	query    string
}

func (t task) name() string {
	return fmt.Sprintf("%s, %s to %s", t.group.Name, t.from.Format("2006-01-02 15:04"), t.to.Format("15:04 UTC"))
}

// answer is what came of a task: the rows up to where it failed, if it did.
type answer struct {
	rows [][]byte
	err  error
}

// Streams asks first for marks and 401s, then for the other requests of the
// accounts that were marked. Each hour is a stream.
func (s *Source) Streams(ctx context.Context, yield func(auditlog.Stream) error) error {
	s.estimate(ctx)
	accounts := map[Group]map[string]bool{}
	var tasks []task
	for _, g := range s.at.Groups {
		accounts[g] = map[string]bool{}
		tasks = append(tasks, s.slices(g, marksQuery)...)
	}
	err := s.each(ctx, tasks, func(t task, a answer) error {
		for _, row := range a.rows {
			if name := markedAccount(row); name != "" {
				accounts[t.group][name] = true
			}
		}
		return yield(stream(t, a))
	})
	if err != nil || s.o.MarksOnly {
		s.report()
		return err
	}
	tasks = nil
	for _, g := range s.at.Groups {
		names := slices.Sorted(maps.Keys(accounts[g]))
		for chunk := range slices.Chunk(names, accountsPerQuery) {
			tasks = append(tasks, s.slices(g, accountsQuery(chunk))...)
		}
	}
	err = s.each(ctx, tasks, func(t task, a answer) error { return yield(stream(t, a)) })
	s.report()
	return err
}

// slices cuts the time into hours, the first and the last of which may be short.
func (s *Source) slices(g Group, query string) []task {
	var out []task
	for from := s.o.From; from.Before(s.o.To); {
		to := from.Truncate(slice).Add(slice)
		if to.After(s.o.To) {
			to = s.o.To
		}
		out = append(out, task{g, from, to, query})
		from = to
	}
	return out
}

// each asks the tasks, a few at a time, and hands the answers over in order.
func (s *Source) each(ctx context.Context, tasks []task, done func(task, answer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	answers := make([]chan answer, len(tasks))
	turn := make(chan struct{}, parallel)
	for i := range tasks {
		answers[i] = make(chan answer, 1)
	}
	workers.Go(func() {
		for i, t := range tasks {
			select {
			case <-ctx.Done():
				return
			case turn <- struct{}{}:
			}
			workers.Go(func() {
				rows, err := s.ask(ctx, t)
				answers[i] <- answer{rows, err}
			})
		}
	})
	for i, t := range tasks {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-answers[i]:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := done(t, a); err != nil {
				return err
			}
			<-turn
		}
	}
	return nil
}

// stream is an answer as audit events, a line each, and its failure at the end.
func stream(t task, a answer) auditlog.Stream {
	text := append(bytes.Join(a.rows, []byte("\n")), '\n')
	if len(a.rows) == 0 {
		text = nil
	}
	return auditlog.Stream{Name: t.name(), Open: func() (io.ReadCloser, error) {
		if a.err != nil && text == nil {
			return nil, a.err
		}
		return io.NopCloser(io.MultiReader(bytes.NewReader(text), failing{a.err})), nil
	}}
}

// failing ends with an error, or ends where there is none.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

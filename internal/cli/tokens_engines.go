package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/auditlog/cloudwatch"
	"github.com/kubecred/kubecred/auditlog/loki"
	"github.com/kubecred/kubecred/satoken"
)

// engineWindow is how far back an engine is asked without --since: each mark
// carries its token's full age, so an hour finds nearly every client.
const engineWindow = time.Hour

// isEngine tells whether a source is an engine and no file.
func isEngine(name string) bool {
	return strings.HasPrefix(name, cloudwatch.Scheme) || loki.IsLocation(name)
}

// cloudWatch makes the source of one log group of cloudwatch://REGION/CLUSTER.
func (a *app) cloudWatch(ctx context.Context, at cloudwatch.Location, o tokenOptions, now time.Time) (auditlog.Source, error) {
	from, to, err := o.window(now)
	if err != nil {
		return nil, err
	}
	say := func(line string) { fmt.Fprintln(a.Stderr, line) }
	if o.quiet {
		say = nil
	}
	return cloudwatch.New(ctx, at, cloudwatch.Options{From: from, To: to, MarksOnly: o.marks, Progress: say})
}

// lokiSource makes the source loki+https://HOST/?query=LOGQL. What Loki asks for is
// taken from the variables that its own logcli reads.
func (a *app) lokiSource(name string, o tokenOptions, now time.Time) (auditlog.Source, error) {
	from, to, err := o.window(now)
	if err != nil {
		return nil, err
	}
	return loki.New(name, loki.Options{
		From: from, To: to, MarksOnly: o.marks,
		User: a.Getenv("LOKI_USERNAME"), Password: a.Getenv("LOKI_PASSWORD"),
		Token: a.Getenv("LOKI_BEARER_TOKEN"), OrgID: a.Getenv("LOKI_ORG_ID"),
	})
}

// window is the time that an engine is asked for.
func (o tokenOptions) window(now time.Time) (from, to time.Time, err error) {
	window := engineWindow
	if o.since != "" {
		if window, err = satoken.ParseDuration(o.since); err != nil {
			return from, to, fmt.Errorf("--since: %w", err)
		}
	}
	to = now.Add(satoken.CacheLag + time.Second)
	return to.Add(-window), to, nil
}

// answered tells whether an engine answered, if only with nothing: then there is
// nothing to find, unlike in a file without an event.
func answered(stats []auditlog.Stats) bool {
	return slices.ContainsFunc(stats, func(s auditlog.Stats) bool { return s.Err == nil && s.Bytes == 0 })
}

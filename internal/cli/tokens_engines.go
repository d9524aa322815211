package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/auditlog/cloudwatch"
	"github.com/kubecred/kubecred/satoken"
)

// engineWindow is how far back an engine is asked without --since: each mark
// carries its token's full age, so an hour finds nearly every client.
const engineWindow = time.Hour

// cloudWatch makes the source cloudwatch://REGION/CLUSTER.
func (a *app) cloudWatch(ctx context.Context, name string, o tokenOptions, now time.Time) (auditlog.Source, error) {
	at, err := cloudwatch.Parse(name)
	if err != nil {
		return nil, err
	}
	window := engineWindow
	if o.since != "" {
		if window, err = satoken.ParseDuration(o.since); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	to := now.Add(satoken.CacheLag + time.Second)
	return cloudwatch.New(ctx, at, cloudwatch.Options{
		From: to.Add(-window), To: to, MarksOnly: o.marks,
		Progress: func(line string) { fmt.Fprintln(a.Stderr, line) },
	})
}

// answered tells whether an engine answered, if only with nothing: then there is
// nothing to find, unlike in a file without an event.
func answered(stats []auditlog.Stats, engines int) bool {
	return engines > 0 && slices.ContainsFunc(stats, func(s auditlog.Stats) bool { return s.Err == nil && s.Bytes == 0 })
}

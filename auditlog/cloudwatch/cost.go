package cloudwatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// dollarsPerGB is what Logs Insights costs per GB scanned in most regions
// (https://aws.amazon.com/cloudwatch/pricing/); dearer ones ask up to twice that.
const dollarsPerGB = 0.005

// estimate says what the queries will scan, from the size and age of the log
// groups. It is a help only: where it may not look, it says nothing.
func (s *Source) estimate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	window := s.o.To.Sub(s.o.From)
	var bytes float64
	known := 0
	for _, g := range s.at.Groups {
		out, err := s.client.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(g.LogGroup)})
		if err != nil {
			continue
		}
		for _, lg := range out.LogGroups {
			if aws.ToString(lg.LogGroupName) != g.LogGroup {
				continue
			}
			kept := s.o.To.Sub(time.UnixMilli(aws.ToInt64(lg.CreationTime)))
			if days := aws.ToInt32(lg.RetentionInDays); days > 0 {
				kept = min(kept, time.Duration(days)*24*time.Hour)
			}
			if kept > 0 {
				bytes += float64(aws.ToInt64(lg.StoredBytes)) * min(1, float64(window)/float64(kept))
				known++
			}
		}
	}
	names := make([]string, len(s.at.Groups))
	for i, g := range s.at.Groups {
		names[i] = g.Name
	}
	line := fmt.Sprintf("%s: %s to %s", strings.Join(names, ", "), s.o.From.Format("2006-01-02 15:04"), s.o.To.Format("2006-01-02 15:04 UTC"))
	if known > 0 {
		passes := "once"
		if !s.o.MarksOnly {
			passes = "twice where marks are found"
		}
		line += fmt.Sprintf("; about %s to scan, %s, at %s", size(bytes), passes, price(bytes))
	}
	s.o.Progress(line)
}

// report says what the queries scanned.
func (s *Source) report() {
	if s.queries.Load() == 0 {
		return
	}
	bytes := float64(s.scanned.Load())
	s.o.Progress(fmt.Sprintf("%s%s: %d queries scanned %s, %s", Scheme, s.at.Region, s.queries.Load(), size(bytes), price(bytes)))
}

// size writes bytes with three digits at most.
func size(bytes float64) string {
	for _, unit := range []string{"bytes", "KB", "MB", "GB"} {
		if bytes < 999.5 {
			return fmt.Sprintf("%.3g %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.3g TB", bytes)
}

func price(bytes float64) string {
	dollars := bytes / 1e9 * dollarsPerGB
	if dollars < 0.01 {
		return "less than 0.01 USD"
	}
	return fmt.Sprintf("about %.2f USD", dollars)
}

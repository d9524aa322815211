// Alerts holds alerting rules against metrics with Prometheus' own engine: it
// reads metrics in the text format from stdin, as if they had been scraped each
// minute from -at on, and prints the alerts that fire at -at and -after later,
// as JSON. A broken rule file is an error in Prometheus' own words.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
)

func main() {
	file := flag.String("rules", "", "the rule `file`")
	at := flag.String("at", "", "the `time` of the first scrape (RFC 3339)")
	after := flag.Duration("after", 0, "how long later to evaluate")
	flag.Parse()
	if err := run(context.Background(), *file, *at, *after); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(2)
	}
}

// alert is one that fires.
type alert struct {
	Name, Value         string
	Labels, Annotations map[string]string
}

func run(ctx context.Context, file, at string, after time.Duration) error {
	began, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return err
	}
	now := began.Add(after)
	metrics, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "alerts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	silent := slog.New(slog.DiscardHandler)
	db, err := tsdb.Open(dir, silent, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	defer db.Close()
	// The engine looks back for five minutes.
	for t := now.Add(-4 * time.Minute); !t.After(now); t = t.Add(time.Minute) {
		if err := scrape(ctx, db, metrics, t); err != nil {
			return err
		}
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, p, silent)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	engine := promql.NewEngine(promql.EngineOpts{Logger: silent, MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: p})
	query := rules.EngineQueryFunc(engine, db)
	fires := []alert{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			expr, err := p.ParseExpr(r.Expr)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Alert, err)
			}
			rule := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), labels.FromMap(r.Labels),
				labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, silent)
			if _, err := rule.Eval(ctx, 0, now, query, &url.URL{}, 0); err != nil {
				return fmt.Errorf("%s: %w", r.Alert, err)
			}
			for _, a := range rule.ActiveAlerts() {
				if a.State == rules.StateFiring {
					fires = append(fires, alert{r.Alert, fmt.Sprint(a.Value), a.Labels.Map(), a.Annotations.Map()})
				}
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(fires)
}

// scrape stores the metrics as Prometheus does when it reads them.
func scrape(ctx context.Context, db *tsdb.DB, metrics []byte, at time.Time) error {
	app := db.Appender(ctx)
	p := textparse.NewPromParser(metrics, labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return app.Commit()
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := p.Series()
		var set labels.Labels
		p.Labels(&set)
		if _, err := app.Append(0, set, at.UnixMilli(), value); err != nil {
			return err
		}
	}
}

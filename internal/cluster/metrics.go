package cluster

import (
	"bufio"
	"context"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Metrics are the counts of one API server since its start: behind a load
// balancer there are others with counts of their own.
type Metrics struct {
	// StaleTokens counts uses of tokens that should have been renewed, each once
	// in ten seconds (the authenticator's cache keeps the others away).
	StaleTokens float64
	// LegacyAuto and LegacyManual count uses of token secrets, InvalidLegacy
	// those that were refused because the cleaner had marked the secret.
	LegacyAuto, LegacyManual, InvalidLegacy float64
	// Since is the API server's start, zero where it does not say.
	Since time.Time
}

// readMetrics reads the API server's own metrics where it can: they only add to
// what the rest says, so no failure here ends the reading.
func (r *reader) readMetrics(ctx context.Context) error {
	body, err := r.kube.core.client.Get().AbsPath("/metrics").
		SetHeader("Accept", "text/plain").Stream(ctx)
	if err != nil && ctx.Err() == nil {
		r.deny("/metrics", "", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	m, err := parseMetrics(body)
	if err != nil {
		r.deny("/metrics", "", err)
		return nil
	}
	r.out.Metrics = m
	return nil
}

// parseMetrics picks the counts out of Prometheus' text format, which is read
// as it comes: an API server's metrics can be tens of megabytes.
func parseMetrics(in io.Reader) (*Metrics, error) {
	var m Metrics
	into := map[string]*float64{
		"serviceaccount_stale_tokens_total":                   &m.StaleTokens,
		"serviceaccount_legacy_auto_token_uses_total":         &m.LegacyAuto,
		"serviceaccount_legacy_manual_token_uses_total":       &m.LegacyManual,
		"serviceaccount_invalid_legacy_auto_token_uses_total": &m.InvalidLegacy,
	}
	var start float64
	into["process_start_time_seconds"] = &start
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		at, known := into[name]
		if !known {
			continue
		}
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 {
			*at += v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if start > 0 && start < 1e11 {
		m.Since = time.Unix(int64(start), 0).UTC()
	}
	return &m, nil
}

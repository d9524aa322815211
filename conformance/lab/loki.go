//go:build unix

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Loki is a log store in one process, with everything on disk.
type Loki struct {
	URL string
}

// Loki starts a Loki. limits are further settings of its limits_config, such as
// "max_entries_limit_per_query: 100".
func (l *Lab) Loki(ctx context.Context, limits ...string) (*Loki, error) {
	program, err := l.Program(ctx, "loki")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.Dir, "loki-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	k := &Loki{}
	return k, withFreePorts(func() error {
		httpPort, err := freePort()
		if err != nil {
			return err
		}
		grpcPort, err := freePort()
		if err != nil {
			return err
		}
		k.URL = "http://127.0.0.1:" + strconv.Itoa(httpPort)
		file := dir + "/loki.yaml"
		if err := os.WriteFile(file, []byte(fmt.Sprintf(lokiConfig, httpPort, grpcPort, dir, strings.Join(append([]string{""}, limits...), ", "))), 0o600); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		p, err := l.run(dir[len(l.Dir)+1:], program, "-config.file", file)
		if err != nil {
			return err
		}
		return p.waitFor(ctx, time.Minute, func(ctx context.Context) error { return get(ctx, http.DefaultClient, k.URL+"/ready") })
	})
}

const lokiConfig = `auth_enabled: false
server: {http_listen_address: 127.0.0.1, http_listen_port: %[1]d, grpc_listen_address: 127.0.0.1, grpc_listen_port: %[2]d, log_level: warn}
common:
  path_prefix: %[3]q
  replication_factor: 1
  instance_addr: 127.0.0.1
  ring: {instance_addr: 127.0.0.1, kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[3]q, rules_directory: %[3]q}}
schema_config:
  configs: [{from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
limits_config: {reject_old_samples: false, ingestion_rate_mb: 64, ingestion_burst_size_mb: 64, max_line_size: 1MB, allow_structured_metadata: false, volume_enabled: false%[4]s}
ingester: {lifecycler: {min_ready_duration: 0s, final_sleep: 0s}}
analytics: {reporting_enabled: false}
`

// PushAudit stores audit events, one a line, under these labels, each at the
// time at which the API server received its request. A query may find them some
// moments later.
func (k *Loki) PushAudit(ctx context.Context, lines string, labels map[string]string) error {
	const batch = 1000
	var values [][2]string
	push := func() error {
		if len(values) == 0 {
			return nil
		}
		body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
		values = values[:0]
		if err != nil {
			return err
		}
		return k.post(ctx, "/loki/api/v1/push", body)
	}
	for line := range strings.Lines(lines) {
		var event struct {
			RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			return fmt.Errorf("lab: audit event: %w", err)
		}
		values = append(values, [2]string{strconv.FormatInt(event.RequestReceivedTimestamp.UnixNano(), 10), strings.TrimSuffix(line, "\n")})
		if len(values) == batch {
			if err := push(); err != nil {
				return err
			}
		}
	}
	if err := push(); err != nil {
		return err
	}
	// Of events older than some hours, queries find only what is on disk.
	return k.post(ctx, "/flush", nil)
}

func (k *Loki) post(ctx context.Context, path string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("lab: loki: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("lab: loki: %s: %s: %s", path, res.Status, said)
	}
	return nil
}

// Query returns the lines of a range that a LogQL query finds, the oldest first.
func (k *Loki) Query(ctx context.Context, query string, from, to time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL+"/loki/api/v1/query_range", nil)
	if err != nil {
		return nil, err
	}
	q := req.URL.Query()
	q.Set("query", query)
	q.Set("start", strconv.FormatInt(from.UnixNano(), 10))
	q.Set("end", strconv.FormatInt(to.UnixNano(), 10))
	q.Set("limit", "5000")
	q.Set("direction", "forward")
	req.URL.RawQuery = q.Encode()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("lab: loki: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return nil, fmt.Errorf("lab: loki: %s: %s", res.Status, said)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Values [][2]string `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("lab: loki: %w", err)
	}
	var lines []string
	for _, stream := range answer.Data.Result {
		for _, v := range stream.Values {
			lines = append(lines, v[1])
		}
	}
	return lines, nil
}

// Package loki reads audit logs from Grafana Loki. The filter runs there: only
// marks, refusals and the other requests of the accounts that were marked come
// back. Answers are paged by time, so that Loki's limit on entries cuts none.
//
// The API is https://grafana.com/docs/loki/latest/reference/loki-http-api/.
package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

// The schemes of a location.
const (
	SchemeHTTP  = "loki+http://"
	SchemeHTTPS = "loki+https://"
)

// IsLocation tells whether a source is meant as one of this package.
func IsLocation(s string) bool {
	return strings.HasPrefix(s, SchemeHTTP) || strings.HasPrefix(s, SchemeHTTPS)
}

// Options say what is asked for.
type Options struct {
	// From and To bound the time of the entries.
	From, To time.Time
	// MarksOnly leaves the second pass out: nothing is known of fresh tokens then.
	MarksOnly bool
	// User, Password, Token and OrgID are what Loki, or the proxy before it, asks
	// for; "" for none.
	User, Password, Token, OrgID string
	// Limit is how many entries a page has, 0 for what Loki allows by default.
	Limit int
	// Wait is the first pause after a call that failed; 0 for a second.
	Wait time.Duration
	// Client makes the calls; nil for one of its own.
	Client *http.Client
}

// The bounds of a source.
const (
	pageLimit = 5000             // Loki's max_entries_limit_per_query by default
	slice     = time.Hour        // the span of one stream
	callTime  = 60 * time.Second // for one call
	attempts  = 6                // of one call
	maxAnswer = 128 << 20        // bytes of one page
	maxWait   = 30 * time.Second
)

// Source asks one Loki. It is an auditlog.Source.
type Source struct {
	o     Options
	base  *url.URL // up to /loki/api/v1
	query string
	name  string
	// served tells that Loki has answered a call well. Where it never did, closed is
	// what it would say of each hour: it is not asked again.
	served atomic.Bool
	closed atomic.Pointer[closedError]
}

// New makes a source of a location, loki+https://HOST[/PATH]?query=LOGQL, where
// LOGQL selects the audit log: {job="kube-audit"}.
func New(location string, o Options) (*Source, error) {
	u, err := url.Parse(strings.TrimPrefix(location, "loki+"))
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf(`%s: write it like loki+https://HOST/?query={job="kube-audit"}`, redact(location))
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s: put the user and password into LOKI_USERNAME and LOKI_PASSWORD, since others see the arguments of a program", redact(location))
	}
	query := strings.TrimSpace(u.Query().Get("query"))
	if !strings.HasPrefix(query, "{") {
		return nil, fmt.Errorf(`%s: the query is missing: add ?query={job="kube-audit"}, the selector of the audit log`, location)
	}
	if !o.From.Before(o.To) {
		return nil, errors.New("the time to look at is empty")
	}
	path := strings.TrimSuffix(u.Path, "/")
	if !strings.HasSuffix(path, "/loki/api/v1") {
		path += "/loki/api/v1"
	}
	if o.Limit == 0 {
		o.Limit = pageLimit
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}
	return &Source{o: o, base: base, query: query, name: "loki " + u.Host}, nil
}

// redact leaves out what may be a password.
func redact(location string) string {
	if i := strings.LastIndexByte(location, '@'); i >= 0 {
		scheme, _, _ := strings.Cut(location, "://")
		return scheme + "://..." + location[i:]
	}
	return location
}

// hits finds marks and refusals, also where they stand as escaped text.
const hits = "|~ `seconds after warning threshold|code\\\\*\":\\s*401`"

// Streams asks first for marks and 401s, then for the other requests of the
// accounts that were marked. Each hour is a stream, which fails where Loki does.
func (s *Source) Streams(ctx context.Context, yield func(auditlog.Stream) error) error {
	marked := map[string]bool{}
	if err := s.pass(ctx, s.query+" "+hits, marked, yield); err != nil || s.o.MarksOnly {
		return err
	}
	for _, filter := range accountFilters(marked) {
		if err := s.pass(ctx, s.query+" "+filter, nil, yield); err != nil {
			return err
		}
	}
	return nil
}

// pass asks one question hour by hour and notes the accounts of marks.
func (s *Source) pass(ctx context.Context, query string, marked map[string]bool, yield func(auditlog.Stream) error) error {
	for from := s.o.From; from.Before(s.o.To); {
		to := from.Truncate(slice).Add(slice)
		if to.After(s.o.To) || s.closed.Load() != nil {
			to = s.o.To
		}
		r, w := io.Pipe()
		name := fmt.Sprintf("%s, %s to %s", s.name, from.UTC().Format("2006-01-02 15:04"), to.UTC().Format(until(from, to)))
		if err := yield(auditlog.Stream{Name: name, Open: func() (io.ReadCloser, error) { return r, nil }}); err != nil {
			return err
		}
		err := s.pages(ctx, query, from, to, func(line string) error {
			noteMark(line, marked)
			_, err := io.WriteString(w, line+"\n")
			return err
		})
		w.CloseWithError(err) // nil ends it well
		if ctx.Err() != nil {
			return ctx.Err()
		}
		from = to
	}
	return nil
}

// until is how the end of a span is written: with its day where that is another.
func until(from, to time.Time) string {
	if to.Sub(from) > slice {
		return "2006-01-02 15:04 UTC"
	}
	return "15:04 UTC"
}

// entry is a line and its time in nanoseconds.
type entry struct {
	at   int64
	line string
}

// pages asks for the entries of a span, page by page, in the order of time.
func (s *Source) pages(ctx context.Context, query string, from, to time.Time, line func(string) error) error {
	start, end, limit := from.UnixNano(), to.UnixNano(), s.o.Limit
	seen := map[string]bool{} // lines at the time start, which come again
	for {
		page, err := s.page(ctx, query, start, end, limit)
		var tooMany *limitError
		if errors.As(err, &tooMany) && limit > 1 {
			limit = max(1, limit/2)
			continue
		}
		if err != nil {
			return err
		}
		last := start
		for _, e := range page {
			if e.at == start && seen[e.line] {
				continue
			}
			if err := line(e.line); err != nil {
				return err
			}
			if e.at > last {
				last = e.at
				clear(seen)
			}
			if e.at == last {
				seen[e.line] = true
			}
		}
		if len(page) < limit {
			return nil
		}
		if last == start && page[len(page)-1].at == start {
			return fmt.Errorf("more than %d entries at one moment, %s: Loki can't page through them", limit, time.Unix(0, start).UTC().Format(time.RFC3339Nano))
		}
		start = last
	}
}

// answer is what query_range says.
type answer struct {
	Status string `json:"status"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Values [][]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

package loki

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// limitError says that Loki allows fewer entries for a page.
type limitError struct{ text string }

func (e *limitError) Error() string { return e.text }

// closedError is a trouble that is none of one hour: no answer came, or Loki lets
// nobody in, or has no such address.
type closedError struct{ err error }

func (e *closedError) Error() string { return e.err.Error() }
func (e *closedError) Unwrap() error { return e.err }

// page asks for one page, and again where Loki is busy.
func (s *Source) page(ctx context.Context, query string, start, end int64, limit int) ([]entry, error) {
	v := url.Values{
		"query": {query}, "start": {strconv.FormatInt(start, 10)}, "end": {strconv.FormatInt(end, 10)},
		"limit": {strconv.Itoa(limit)}, "direction": {"forward"},
	}
	if closed := s.closed.Load(); closed != nil {
		return nil, closed
	}
	wait := s.o.Wait
	for try := 1; ; try++ {
		out, again, err := s.call(ctx, v)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		// Before the first good answer a wrong address is more likely than a short trouble.
		var closed *closedError
		if errors.As(err, &closed) && !s.served.Load() && (again < 0 || try == 2) {
			s.closed.Store(closed)
			return nil, err
		}
		if again < 0 || try == attempts {
			return nil, err
		}
		timer := time.NewTimer(min(maxWait, max(wait, again)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		wait *= 2
	}
}

// call makes one call. again is negative where another would say the same, or
// else the pause that Loki asks for.
func (s *Source) call(ctx context.Context, v url.Values) (out []entry, again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u := *s.base
	u.Path += "/query_range"
	u.RawQuery = v.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, -1, err
	}
	req.Header.Set("Accept", "application/json")
	switch {
	case s.o.Token != "":
		req.Header.Set("Authorization", "Bearer "+s.o.Token)
	case s.o.User != "":
		req.SetBasicAuth(s.o.User, s.o.Password)
	}
	if s.o.OrgID != "" {
		req.Header.Set("X-Scope-OrgID", s.o.OrgID)
	}
	res, err := s.o.Client.Do(req)
	if err != nil {
		var uerr *url.Error
		if errors.As(err, &uerr) {
			err = uerr.Err // without the address and its long query
		}
		return nil, 0, &closedError{fmt.Errorf("asking Loki: %w", err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, fmt.Errorf("reading Loki's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res, body)
	}
	if len(body) > maxAnswer {
		return nil, -1, &limitError{fmt.Sprintf("loki's answer is larger than %d MiB", maxAnswer>>20)}
	}
	if out, err = entries(body); err == nil {
		s.served.Store(true)
	}
	return out, -1, err
}

// refusal makes an error of an answer that is none.
func refusal(res *http.Response, body []byte) ([]entry, time.Duration, error) {
	text := strings.Join(strings.Fields(string(body[:min(len(body), 300)])), " ")
	if res.StatusCode == http.StatusBadRequest && strings.Contains(text, "max entries limit") {
		return nil, -1, &limitError{text}
	}
	err := fmt.Errorf("loki answered %s: %s", res.Status, text)
	switch {
	case res.StatusCode == http.StatusNotFound:
		err = &closedError{err}
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("%w (LOKI_USERNAME and LOKI_PASSWORD, or LOKI_BEARER_TOKEN, and LOKI_ORG_ID are sent where they are set)", err)
		err = &closedError{err}
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return nil, time.Duration(max(0, seconds)) * time.Second, err
	}
	return nil, -1, err
}

// entries reads an answer of log lines, ordered by time.
func entries(body []byte) ([]entry, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("loki's answer: %w", err)
	}
	if a.Data.ResultType != "streams" {
		return nil, fmt.Errorf("loki's answer holds %q and no log lines: the query must select a log, without a metric around it", a.Data.ResultType)
	}
	var out []entry
	for _, r := range a.Data.Result {
		for _, v := range r.Values {
			var at, line string
			if len(v) < 2 || json.Unmarshal(v[0], &at) != nil || json.Unmarshal(v[1], &line) != nil {
				return nil, errors.New("loki's answer: an entry without a time and a line")
			}
			nano, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("loki's answer: the time %q of an entry", at)
			}
			out = append(out, entry{nano, strings.ReplaceAll(line, "\n", " ")})
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	return out, nil
}

// The subject of a mark: what comes back are lines that hold one, so a wrong
// hit only makes the second question wider.
var subject = lazyexp.New(`subject: system:serviceaccount:([a-z0-9.-]+:[a-z0-9.-]+), seconds after`)

func noteMark(line string, marked map[string]bool) {
	if marked == nil {
		return
	}
	for _, m := range subject().FindAllStringSubmatch(line, -1) {
		marked[m[1]] = true
	}
}

// accountsPerQuery keeps a query within what Loki takes.
const accountsPerQuery = 50

// accountFilters find the requests of the accounts that have no mark.
func accountFilters(marked map[string]bool) []string {
	var out []string
	for names := range slices.Chunk(slices.Sorted(maps.Keys(marked)), accountsPerQuery) {
		for i := range names {
			names[i] = regexp.QuoteMeta(names[i])
		}
		out = append(out, "|~ `system:serviceaccount:("+strings.Join(names, "|")+")[^a-z0-9.:-]` != `seconds after warning threshold`")
	}
	return out
}

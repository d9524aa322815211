// Package insightsfake is a stand-in for CloudWatch Logs Insights, for tests: it
// runs the filters of kubecred's queries over lines that it was given, with the
// limits that the real one has.
package insightsfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Line is a log line and when it was written.
type Line struct {
	At   time.Time
	Text string
}

// Server is the stand-in. Its fields are set before the first request.
type Server struct {
	*httptest.Server
	// Groups are the log groups.
	Groups map[string][]Line
	// Fail says what becomes of a StartQuery: an AWS error code, or "" for none;
	// n counts from 1.
	Fail func(n int, group string, from, to time.Time) string
	// End says how a query ends: "Failed", "Timeout", or "" for Complete.
	End func(group string, from, to time.Time) string

	// Look is called at each look at a query.
	Look func()

	mu      sync.Mutex
	started int
	results map[string]map[string]any
	looks   map[string]int
	stopped int
}

// Start starts it; close it with Close.
func Start() *Server {
	s := &Server{Groups: map[string][]Line{}, results: map[string]map[string]any{}, looks: map[string]int{}}
	s.Server = httptest.NewServer(s)
	return s
}

// Queries counts the queries that were started.
func (s *Server) Queries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// Stopped counts the queries that were called off.
func (s *Server) Stopped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var in struct {
		LogGroupName, QueryString, QueryID, LogGroupNamePrefix string
		StartTime, EndTime                                     int64
		Limit                                                  int
	}
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil || !strings.Contains(req.Header.Get("Authorization"), "/logs/aws4_request") {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	switch op {
	case "DescribeLogGroups":
		groups := []any{}
		for name, lines := range s.Groups {
			if strings.HasPrefix(name, in.LogGroupNamePrefix) {
				size := 0
				for _, l := range lines {
					size += len(l.Text)
				}
				groups = append(groups, map[string]any{"logGroupName": name, "storedBytes": size, "creationTime": 1700000000000, "retentionInDays": 1})
			}
		}
		reply(w, map[string]any{"logGroups": groups})
	case "StartQuery":
		s.started++
		from, to := time.Unix(in.StartTime, 0).UTC(), time.Unix(in.EndTime, 0).UTC()
		if s.Fail != nil {
			if code := s.Fail(s.started, in.LogGroupName, from, to); code != "" {
				refuse(w, code)
				return
			}
		}
		lines, ok := s.Groups[in.LogGroupName]
		if !ok {
			refuse(w, "ResourceNotFoundException")
			return
		}
		id := fmt.Sprintf("query-%d", s.started)
		s.results[id] = run(lines, in.QueryString, from, to, in.Limit)
		if s.End != nil {
			if status := s.End(in.LogGroupName, from, to); status != "" {
				s.results[id]["status"] = status
				s.results[id]["results"] = []any{}
			}
		}
		reply(w, map[string]any{"queryId": id})
	case "GetQueryResults":
		id := in.QueryID
		if s.Look != nil {
			s.Look()
		}
		if s.looks[id]++; s.looks[id] == 1 {
			reply(w, map[string]any{"status": "Running", "results": []any{}})
			return
		}
		reply(w, s.results[id])
	case "StopQuery":
		s.stopped++
		reply(w, map[string]any{"success": true})
	default:
		refuse(w, "UnknownOperationException")
	}
}

var like = regexp.MustCompile(`@message like /((?:[^/\\]|\\.)+)/`)

// run answers a query: both ends of the time are inclusive, to the second.
func run(lines []Line, query string, from, to time.Time, limit int) map[string]any {
	var filters []*regexp.Regexp
	for _, m := range like.FindAllStringSubmatch(query, -1) {
		filters = append(filters, regexp.MustCompile(m[1]))
	}
	rows := []any{}
	scanned := 0
	for i, l := range lines {
		if l.At.Before(from) || !l.At.Before(to.Add(time.Second)) {
			continue
		}
		scanned += len(l.Text)
		for _, f := range filters {
			if f.MatchString(l.Text) && len(rows) < limit {
				rows = append(rows, []any{
					map[string]any{"field": "@timestamp", "value": l.At.Format("2006-01-02 15:04:05.000")},
					map[string]any{"field": "@message", "value": l.Text},
					map[string]any{"field": "@ptr", "value": fmt.Sprint(i)},
				})
				break
			}
		}
	}
	return map[string]any{"status": "Complete", "results": rows, "statistics": map[string]any{"bytesScanned": scanned, "recordsMatched": len(rows)}}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{"__type": code, "message": "said by the stand-in"})
}

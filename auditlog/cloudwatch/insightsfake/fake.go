// Package insightsfake is a stand-in for CloudWatch Logs Insights, for tests: it
// runs the filters of kubecred's queries over lines that it was given, within the
// limits of the real one, and checks each request's signature for real.
package insightsfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// MaxRows is how many rows an answer has at most
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html).
const MaxRows = 10000

// maxQuery is how many characters a query may have.
const maxQuery = 10000

// Line is a log line and when it was written.
type Line struct {
	At   time.Time
	Text string
	// Stream is the log stream; "" stands for one of the API server's audit log.
	Stream string
	// Bare leaves @message out of the line's rows.
	Bare bool
}

// Server is the stand-in. Its fields are set before the first request.
type Server struct {
	// AWS is what clients speak to. It has faults to switch on, for the actions
	// logs:StartQuery, logs:GetQueryResults, ...
	AWS *awsfake.Server
	// Groups are the log groups.
	Groups map[string][]Line
	// Fail says what becomes of a StartQuery: an AWS error code, or "" for none;
	// n counts from 1.
	Fail func(n int, group string, from, to time.Time) string
	// End says how a query ends: "Failed", "Timeout", or "" for Complete.
	End func(group string, from, to time.Time) string
	// Look is called at each look at a query.
	Look func()
	// AtOnce is how many queries may run at the same time; 0 stands for 30.
	AtOnce int

	mu      sync.Mutex
	started int
	results map[string]map[string]any
	running map[string]bool // until their second look
	stopped int
}

// Start starts it; close it with Close.
func Start() *Server {
	s := &Server{Groups: map[string][]Line{}, results: map[string]map[string]any{}, running: map[string]bool{}}
	var err error
	s.AWS, err = awsfake.Start(awsfake.Config{
		Keys:     awsfake.Default().Keys,
		Services: map[string]http.Handler{"logs": s},
	})
	if err != nil {
		panic(err) // no loopback address, as in net/http/httptest
	}
	return s
}

// Close ends it.
func (s *Server) Close() { _ = s.AWS.Close() }

// Env is the environment by which AWS clients find it, with a key that it knows.
func (s *Server) Env() []string {
	return append(s.AWS.Env(), "AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret)
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

// ServeHTTP answers a request whose signature was found right.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var in question
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		refuse(w, "SerializationException")
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
		s.start(w, in)
	case "GetQueryResults":
		if s.Look != nil {
			s.Look()
		}
		if s.running[in.QueryID] {
			s.running[in.QueryID] = false
			reply(w, map[string]any{"status": "Running", "results": []any{}})
			return
		}
		delete(s.running, in.QueryID)
		reply(w, s.results[in.QueryID])
	case "StopQuery":
		s.stopped++
		delete(s.running, in.QueryID)
		reply(w, map[string]any{"success": true})
	default:
		refuse(w, "UnknownOperationException")
	}
}

// question is the input of each operation.
type question struct {
	LogGroupName, QueryString, QueryID, LogGroupNamePrefix string
	StartTime, EndTime                                     int64
	Limit                                                  int
}

func (s *Server) start(w http.ResponseWriter, in question) {
	s.started++
	from, to := time.Unix(in.StartTime, 0).UTC(), time.Unix(in.EndTime, 0).UTC()
	if s.Fail != nil {
		if code := s.Fail(s.started, in.LogGroupName, from, to); code != "" {
			refuse(w, code)
			return
		}
	}
	atOnce := s.AtOnce
	if atOnce == 0 {
		atOnce = 30
	}
	lines, ok := s.Groups[in.LogGroupName]
	switch {
	case in.Limit > MaxRows || len(in.QueryString) > maxQuery || in.EndTime < in.StartTime:
		refuse(w, "InvalidParameterException")
		return
	case len(s.running) >= atOnce:
		refuse(w, "LimitExceededException")
		return
	case !ok:
		refuse(w, "ResourceNotFoundException")
		return
	}
	id := fmt.Sprintf("query-%d", s.started)
	s.running[id] = true
	s.results[id] = run(lines, in, from, to)
	if s.End != nil {
		if status := s.End(in.LogGroupName, from, to); status != "" {
			s.results[id]["status"] = status
			s.results[id]["results"] = []any{}
		}
	}
	reply(w, map[string]any{"queryId": id})
}

var like = regexp.MustCompile(`@(message|logStream) like /((?:[^/\\]|\\.)+)/`)

// run answers a query: both ends of the time are inclusive, to the second, and
// of the rows that match the first ones by time are given, as many as fit.
func run(lines []Line, in question, from, to time.Time) map[string]any {
	var messages, streams []*regexp.Regexp
	for _, m := range like.FindAllStringSubmatch(in.QueryString, -1) {
		if m[1] == "message" {
			messages = append(messages, regexp.MustCompile(m[2]))
		} else {
			streams = append(streams, regexp.MustCompile(m[2]))
		}
	}
	limit := MaxRows
	if in.Limit > 0 {
		limit = min(limit, in.Limit)
	}
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	rows := []any{}
	scanned, matched := 0, 0
	for i, l := range lines {
		if l.At.Before(from) || !l.At.Before(to.Add(time.Second)) {
			continue
		}
		scanned += len(l.Text)
		if l.Stream == "" {
			l.Stream = "kube-apiserver-audit-0123456789abcdef"
		}
		if !matches(streams, l.Stream) || !matches(messages, l.Text) {
			continue
		}
		if matched++; matched > limit {
			continue
		}
		row := []any{map[string]any{"field": "@timestamp", "value": l.At.Format("2006-01-02 15:04:05.000")}}
		if !l.Bare {
			row = append(row, map[string]any{"field": "@message", "value": l.Text})
		}
		rows = append(rows, append(row, map[string]any{"field": "@ptr", "value": fmt.Sprint(i)}))
	}
	return map[string]any{"status": "Complete", "results": rows, "statistics": map[string]any{"bytesScanned": scanned, "recordsMatched": matched}}
}

// matches tells whether any of the filters does; kubecred's queries only join
// filters of one field by "or".
func matches(any []*regexp.Regexp, text string) bool {
	return slices.ContainsFunc(any, func(r *regexp.Regexp) bool { return r.MatchString(text) })
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

package satoken_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/satoken"
)

// story draws requests of a few pods and clients over some hours.
func story(t *rapid.T) []use {
	pods := []string{"web-6d8f7c9b5-hx2lq", "web-6d8f7c9b5-zz9rt", "job-5b7d6f4c8-tq2wn", "db-0", ""}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) use {
		u := use{
			At:      rapid.IntRange(0, 20000).Draw(t, "at"),
			Account: rapid.SampledFrom([]string{"apps/web", "apps/db"}).Draw(t, "account"),
			Pod:     rapid.SampledFrom(pods).Draw(t, "pod"),
			Agent:   rapid.SampledFrom([]string{"web/1", "sidecar/2 \"x\"", ""}).Draw(t, "agent"),
			IP:      rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}).Draw(t, "ip"),
			JTI:     rapid.SampledFrom([]string{"x", "y", "z", ""}).Draw(t, "jti"),
			Owner:   rapid.SampledFrom([]string{"529808a5-df76-4f2b-b0d3-471e621bf94e", "7c1e9f0a-0b1c-4d2e-8f3a-4b5c6d7e8f90"}).Draw(t, "owner"),
			Stale:   -1,
		}
		if u.JTI != "" {
			// A token belongs to one pod of one account.
			n := int(u.JTI[0] - 'x')
			u.Owner = ""
			u.Pod, u.Account = pods[n], []string{"apps/web", "apps/web", "apps/db"}[n]
		}
		if u.Pod != "" {
			u.UID = "uid-" + u.Pod
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			u.Refused = true
		case 1, 2:
			// The marks of a token tell one time of issue, give or take the cache.
			if u.JTI != "z" {
				u.Stale = month + u.At - rapid.IntRange(0, 10).Draw(t, "lag")
			}
		}
		return u
	}), 1, 40).Draw(t, "uses")
}

// TestOrderAndShape: shuffling, splitting, repeating and re-wrapping a log
// changes nothing of what is said of it, nor does reading it in a hurry.
func TestOrderAndShape(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := lines(story(rt))
		o := satoken.JudgeOptions{Now: start.Add(time.Duration(rapid.IntRange(0, 70*86400).Draw(rt, "now")) * time.Second), All: rapid.Bool().Draw(rt, "all")}
		want := judgeAs(t, o, auditlog.Options{Strict: true}, text(all...))

		shuffled := rapid.Permutation(all).Draw(rt, "order")
		if rapid.Bool().Draw(rt, "repeat") {
			shuffled = append(shuffled, shuffled[:len(shuffled)/2]...)
		}
		var sources []auditlog.Source
		for i := 0; len(shuffled) > 0; i++ {
			n := rapid.IntRange(1, len(shuffled)).Draw(rt, "split")
			sources = append(sources, auditlog.Reader(fmt.Sprint(i), bytes.NewReader(wrap(rt, shuffled[:n]))))
			shuffled = shuffled[n:]
		}
		got := judge(t, o, sources...)
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatalf("-plain +wrapped\n%s", d)
		}
	})
}

// wrap writes events in one of the shapes that logs have.
func wrap(t *rapid.T, events []string) []byte {
	var b bytes.Buffer
	shape := rapid.SampledFrom([]string{"lines", "native", "native", "native list", "native, unsorted", "list", "pretty list", "array", "prefixed", "subscription", "fluent bit", "log_s", "table", "loki", "loki, pretty", "logcli", "datadog", "splunk", "search", "tables", "journal"}).Draw(t, "shape")
	switch shape {
	case "lines":
		b.WriteString(strings.Join(events, "\n"))
	case "native":
		for _, e := range events {
			b.WriteString(native(e) + "\n")
		}
	case "native list":
		b.WriteString(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[`)
		for i, e := range events {
			b.WriteString(strings.Repeat(",", min(i, 1)) + native(e))
		}
		b.WriteString("]}")
	case "native, unsorted":
		for _, e := range events {
			b.WriteString(strings.Replace(native(e), `"annotations":{`, `"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: \"x\"",`, 1) + "\n")
		}
	case "list":
		fmt.Fprintf(&b, `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%s]}`, strings.Join(events, ","))
	case "pretty list":
		compact := fmt.Sprintf(`{"kind":"EventList","items":[%s]}`, strings.Join(events, ","))
		if err := json.Indent(&b, []byte(compact), "", "  "); err != nil {
			panic(err)
		}
	case "array":
		b.WriteString("[" + strings.Join(events, ",\n") + "]")
	case "subscription":
		b.WriteString(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[`)
		for i, e := range events {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"id":"1","message":%s}`, quoted(e))
		}
		b.WriteString("]}")
	case "fluent bit":
		for _, e := range events {
			fmt.Fprintf(&b, `{"date":1.5,"log":%s,"stream":"stdout"}`+"\n", quoted(e+"\n"))
		}
	case "log_s":
		for _, e := range events {
			fmt.Fprintf(&b, `{"Category":"kube-audit","log_s":%s}`+"\n", quoted(e))
		}
	case "loki", "loki, pretty", "tables", "datadog", "search":
		b.WriteString(wrapAnswer(shape, events))
	case "logcli":
		for _, e := range events {
			fmt.Fprintf(&b, `2026-11-22T04:11:42Z {job="audit", file="{\"x\""}   %s`+"\n", e)
		}
	case "splunk":
		b.WriteString("_raw,_time\n")
		for _, e := range events {
			fmt.Fprintf(&b, "\"%s\",1\n", strings.ReplaceAll(e, `"`, `""`))
		}
	case "journal":
		for _, e := range events {
			fmt.Fprintf(&b, `{"MESSAGE":%s,"_PID":"1"}`+"\n", strings.ReplaceAll(fmt.Sprint([]byte(e)), " ", ","))
		}
	case "table":
		b.WriteString("@timestamp,@message\n")
		for _, e := range events {
			fmt.Fprintf(&b, "1,\"%s\"\n", strings.ReplaceAll(e, `"`, `""`))
		}
	case "prefixed":
		for _, e := range events {
			b.WriteString("2026-11-22T04:11:42.000Z " + e + "\r\n")
		}
	}
	if !rapid.Bool().Draw(t, "gzip") {
		return b.Bytes()
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b.Bytes())
	w.Close()
	return z.Bytes()
}

// native writes an event as the API server does, key by key.
func native(event string) string {
	var e struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Level      string `json:"level"`
		AuditID    string `json:"auditID"`
		Stage      string `json:"stage"`
		RequestURI string `json:"requestURI"`
		Verb       string `json:"verb"`
		User       struct {
			Username string              `json:"username,omitempty"`
			UID      string              `json:"uid,omitempty"`
			Groups   []string            `json:"groups,omitempty"`
			Extra    map[string][]string `json:"extra,omitempty"`
		} `json:"user"`
		SourceIPs      []string          `json:"sourceIPs,omitempty"`
		UserAgent      string            `json:"userAgent,omitempty"`
		ObjectRef      map[string]string `json:"objectRef,omitempty"`
		ResponseStatus *struct {
			Metadata struct{} `json:"metadata"`
			Code     int      `json:"code"`
		} `json:"responseStatus,omitempty"`
		Received    string            `json:"requestReceivedTimestamp"`
		Staged      string            `json:"stageTimestamp"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		panic(err)
	}
	e.Level, e.RequestURI, e.Verb = "Metadata", "/api/v1/pods?a=b&c=\"d\"", "list"
	e.ObjectRef = map[string]string{"resource": "pods", "apiVersion": "v1"}
	if e.User.Username != "" {
		e.User.Groups = []string{"system:serviceaccounts"}
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// wrapAnswer writes events as an engine answers a query for them.
func wrapAnswer(shape string, events []string) string {
	shapes := map[string][3]string{
		"loki":    {`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[`, `["1",%s]`, `]}],"stats":{}}}`},
		"tables":  {`{"tables":[{"columns":[{"name":"n"},{"name":"log_s"}],"rows":[`, `[1,%s]`, `]}]}`},
		"datadog": {`{"data":[`, `{"attributes":{"attributes":%s}}`, `],"meta":{}}`},
		"search":  {`{"hits":{"total":{"value":1},"hits":[`, `{"_source":%s}`, `]}}`},
	}
	shape, pretty := strings.CutSuffix(shape, ", pretty")
	s := shapes[shape]
	var list []string
	for _, e := range events {
		if shape == "loki" || shape == "tables" {
			e = quoted(e)
		}
		list = append(list, fmt.Sprintf(s[1], e))
	}
	out := s[0] + strings.Join(list, ",") + s[2]
	if !pretty {
		return out
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(out), "", "  "); err != nil {
		panic(err)
	}
	return b.String()
}

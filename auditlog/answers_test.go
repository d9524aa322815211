package auditlog_test

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/auditlog"
)

// flatten makes the keys of an event those that an engine makes of it.
func flatten(out map[string]any, before string, in map[string]any) map[string]any {
	for k, v := range in {
		switch v := v.(type) {
		case map[string]any:
			flatten(out, before+k+".", v)
		case string:
			out[before+k] = v
		default:
			out[before+k] = mustJSON(v)
		}
	}
	return out
}

// unfold makes objects of the parts of keys.
func unfold(in map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range in {
		if m, ok := v.(map[string]any); ok {
			v = unfold(m)
		}
		at := out
		parts := strings.Split(k, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = v
	}
	return out
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func object(s string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		panic(err)
	}
	return m
}

// answers are the shapes in which engines hand out the events a and b.
func answers(a, b string) map[string]string {
	two := func(f func(string) string) string { return f(a) + "\n" + f(b) + "\n" }
	list := func(f func(string) string) string { return f(a) + ",\n" + f(b) }
	csv := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	entry := func(s string) string { return `["1763784701133000000",` + q(s) + `]` }
	hit := func(s string) string { return `{"_index":"audit","_id":"x","_score":1,"_source":` + s + `}` }
	underscores := func(s string) string {
		return strings.NewReplacer("authorization.k8s.io/", "authorization_k8s_io/", "authentication.k8s.io/stale", "authentication_k8s_io/stale").Replace(s)
	}
	datadog := func(s string) string {
		return `{"id":"x","type":"log","attributes":{"timestamp":"t","message":"GET /x","tags":[],"attributes":` + s + `}}`
	}
	return map[string]string{
		"Loki":                 `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"{\"k\""},"values":[` + entry(a) + `]},{"stream":{},"values":[["1",` + q(b) + `,{"trace":"x"}]]}],"stats":{"summary":{"lines":2}}}}`,
		"Loki, two a stream":   `{"data":{"result":[{"stream":{},"values":[` + list(entry) + `]}]}}`,
		"Loki of Docker":       `{"status":"success","data":{"result":[{"values":[` + list(func(s string) string { return entry(`{"log":` + q(s+"\n") + `,"stream":"stdout"}`) }) + `]}]}}`,
		"Loki's push":          `{"streams":[{"stream":{"a":"b"},"values":[` + list(entry) + `]}]}`,
		"logcli's text":        two(func(s string) string { return `2026-11-22T04:11:42Z {job="kube-audit", pod="x{"}   ` + s }),
		"logcli, no labels":    two(func(s string) string { return "2026-11-22T04:11:42Z {} " + s }),
		"Grafana":              "[" + list(func(s string) string { return `{"line":` + q(s) + `,"timestamp":"1","fields":{"labels":{}}}` }) + "]",
		"Datadog":              `{"data":[` + list(datadog) + `],"meta":{"page":{"after":"x"}}}`,
		"Datadog's archive":    two(func(s string) string { return `{"_id":"x","source":"kubernetes.audit","attributes":` + s + `}` }),
		"Datadog, both":        `{"data":[` + list(func(s string) string { return `{"attributes":{"message":` + q(s) + `,"attributes":` + s + `}}` }) + `]}`,
		"Datadog's table":      "\"Date\",\"Host\",\"Message\"\n" + two(func(s string) string { return `"d","h",` + csv(s) }),
		"keys unfolded":        two(func(s string) string { return `{"attributes":` + mustJSON(unfold(object(s))) + `}` }),
		"Splunk's table":       "\"_raw\",\"_time\"\n" + two(func(s string) string { return csv(s) + `,"t"` }),
		"Splunk's one column":  "\"_raw\"\n" + two(csv),
		"Splunk's results":     `{"preview":false,"init_offset":0,"messages":[],"fields":[{"name":"_raw"}],"results":[` + list(func(s string) string { return `{"_raw":` + q(s) + `}` }) + `]}`,
		"Splunk's rows":        `{"preview":false,"fields":["_time","_raw"],"rows":[` + list(func(s string) string { return `["t",` + q(s) + `]` }) + `]}`,
		"Sumo Logic":           `{"fields":[],"messages":[` + list(func(s string) string { return `{"map":{"_raw":` + q(s) + `}}` }) + `]}`,
		"elasticdump":          two(hit),
		"Elasticsearch, many":  `{"took":1,"responses":[{"hits":{"total":{"value":2},"hits":[` + list(hit) + `]},"status":200}]}`,
		"Kibana":               `{"rawResponse":{"hits":{"hits":[` + list(hit) + `]}}}`,
		"Elasticsearch fields": `{"hits":{"hits":[` + list(func(s string) string { return `{"_id":"x","fields":{"message":[` + q(s) + `]}}` }) + `]}}`,
		"Elastic's agent":      two(func(s string) string { return hit(`{"message":"","kubernetes":{"audit":` + underscores(s) + `}}`) }),
		"ECS":                  two(func(s string) string { return `{"event":{"original":` + q(s) + `,"kind":"event"}}` }),
		"Kibana's table":       "@timestamp,_source\n" + two(func(s string) string { return "t," + csv(`{"message":`+q(s)+`}`) }),
		"OpenSearch's SQL":     `{"schema":[{"name":"n","type":"long"},{"name":"log","type":"text"}],"datarows":[` + list(func(s string) string { return `[1,` + q(s) + `]` }) + `],"total":2}`,
		"az monitor":           "[" + list(func(s string) string { return `{"TableName":"PrimaryResult","log_s":` + q(s) + `}` }) + "]",
		"Azure's query API":    `{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"log_s","type":"string"}],"rows":[` + list(func(s string) string { return `["t",` + q(s) + `]` }) + `]}]}`,
		"Kusto":                `{"Tables":[{"TableName":"t","Columns":[{"ColumnName":"n","DataType":"Int32"},{"ColumnName":"log_s"}],"Rows":[` + list(func(s string) string { return `[null,` + q(s) + `]` }) + `]}]}`,
		"rows without names":   `{"rows":[` + list(func(s string) string { return `[` + q(s) + `]` }) + `]}`,
		"rsyslog":              two(func(s string) string { return `{"msg":` + q(" "+s) + `,"host":"h"}` }),
		"journald, bytes": two(func(s string) string {
			return `{"_PID":"1","MESSAGE":` + strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ",") + `}`
		}),
		"VictoriaLogs":      two(func(s string) string { return `{"_msg":` + q(s) + `,"_time":"t"}` }),
		"keys made flat":    two(func(s string) string { return mustJSON(flatten(map[string]any{"_msg": "x"}, "", object(s))) }),
		"texts over lines":  "[\n  " + q(a) + ",\n  " + q(b) + "\n]",
		"a text and a list": "{\n\"message\": " + q(a) + ",\n\"values\": [\n" + entry(b) + "\n]}",
	}
}

// columnsAnswer is what Azure's query API gives of the table AKSAudit.
func columnsAnswer(rows ...string) string {
	var columns, cells []string
	for i, row := range rows {
		var values []string
		m := object(row)
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if i == 0 {
				columns = append(columns, `{"name":`+q(k)+`,"type":"string"}`)
			}
			values = append(values, mustJSON(m[k]))
		}
		cells = append(cells, "["+strings.Join(values, ",")+"]")
	}
	return `{"tables":[{"name":"PrimaryResult","columns":[` + strings.Join(columns, ",") + `],"rows":[` + strings.Join(cells, ",\n") + `]}]}`
}

// TestColumnsAnswer: rows are read by the names of their columns, in an answer of
// any length.
func TestColumnsAnswer(t *testing.T) {
	_, want, _ := collect(t, auditlog.Options{}, text(event("a")))
	row := azureRow("a", false)
	for name, in := range map[string]string{
		"on lines":   columnsAnswer(row),
		"a long one": columnsAnswer(slices.Repeat([]string{row}, 4000)...),
	} {
		ids, got, stats := collect(t, auditlog.Options{}, text(in))
		if s := stats[0]; len(ids)*len(row) < len(in)/2 || !slices.Equal(got, want) || s.Shapes&auditlog.QueryResults == 0 || s.Other+s.Long+s.Corrupt > 0 {
			t.Errorf("%s: %d events, %q, want %q; %+v", name, len(ids), got, want, s)
		}
	}
}

// TestBigQuery: both of BigQuery's shapes of a GKE entry tell what the entry does.
func TestBigQuery(t *testing.T) {
	_, want, _ := collect(t, auditlog.Options{}, text(googleEntry))
	for name, in := range map[string]string{
		"a table of the log":      `{"logName":"x","protopayload_auditlog":{"serviceName":"k8s.io","authenticationInfo":{"principalEmail":"system:serviceaccount:apps:web"},"requestMetadata":{"callerIp":"10.0.7.7","callerSuppliedUserAgent":"web/v1 (linux/amd64)"},"status":{"code":"0"}},"labels":{"authentication_k8s_io_stale_token":"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"},"insertId":"i1","operation":{"id":"a"},"timestamp":"2026-11-22 04:11:41.133602 UTC"}`,
		"a view of log analytics": `{"proto_payload":{"type":"x","audit_log":{"service_name":"k8s.io","authentication_info":{"principal_email":"system:serviceaccount:apps:web"},"request_metadata":{"caller_ip":"10.0.7.7","caller_supplied_user_agent":"web/v1 (linux/amd64)"},"status":null}},"labels":"{\"authentication.k8s.io/stale-token\":\"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12\"}","insert_id":"i1","operation":{"id":"a"},"timestamp":"2026-11-22 04:11:41.133602"}`,
	} {
		ids, got, stats := collect(t, auditlog.Options{}, text(in))
		if !slices.Equal(ids, []string{"a"}) || !slices.Equal(got, want) || stats[0].Shapes != auditlog.GKEEntries {
			t.Errorf("%s: %q, want %q; shapes %v", name, got, want, stats[0].Shapes)
		}
	}
	refused := `{"protopayload_auditlog":{"serviceName":"k8s.io","status":{"code":"16"}},"insertId":"i1","timestamp":"2026-11-22 04:11:41 UTC"}`
	if ids, got, _ := collect(t, auditlog.Options{}, text(refused)); len(ids) != 1 || got[8] != "401" {
		t.Errorf("refused: %q", got)
	}
}

// TestFlatRefusal: a refused request has no user, so its code must be found.
func TestFlatRefusal(t *testing.T) {
	in := `{"auditID":"a","stage":"ResponseComplete","sourceIPs":"[\"10.0.7.7\"]","userAgent":"x/1","responseStatus.code":"401","requestReceivedTimestamp":"2026-11-22T04:11:41Z"}`
	_, got, _ := collect(t, auditlog.Options{}, text(in))
	if got == nil || got[8] != "401" || got[6] != "10.0.7.7" || got[1] != "" {
		t.Errorf("%q", got)
	}
}

// TestCutTexts: a text that was cut takes nothing with it of what stands beside it.
func TestCutTexts(t *testing.T) {
	cut := event("cut")[:500]
	for name, in := range map[string]string{
		"CloudWatch":       subscription("DATA_MESSAGE", event("a"), cut, event("b")),
		"Loki":             `{"data":{"result":[{"values":[["1",` + q(event("a")) + `],["2",` + q(cut) + `],["3",` + q(event("b")) + `]]}]}}`,
		"Loki, over lines": "{\"data\":{\"result\":[{\"values\":[\n[\"1\"," + q(event("a")) + "],\n[\"2\"," + q(cut) + "],\n[\"3\"," + q(event("b")) + "]]}]}}",
		"a table":          "@timestamp,@message\n1,\"" + strings.ReplaceAll(event("a"), `"`, `""`) + "\"\n2,\"" + strings.ReplaceAll(cut, `"`, `""`) + "\"\n3,\"" + strings.ReplaceAll(event("b"), `"`, `""`) + "\"\n",
	} {
		for _, o := range []auditlog.Options{{}, {MarksOnly: true}, {Strict: true}} {
			ids, _, stats := collect(t, o, text(in))
			if s := stats[0]; !slices.Equal(ids, []string{"a", "b"}) || s.Truncated != 1 || s.Corrupt+s.Other+s.Long > 0 {
				t.Errorf("%s, %+v: %q; %+v", name, o, ids, s)
			}
		}
	}
	whole := `{"message":` + q(cut) + `,"attributes":` + event("cut") + `}`
	if ids, _, stats := collect(t, auditlog.Options{}, text(whole)); !slices.Equal(ids, []string{"cut"}) || stats[0].Truncated != 0 {
		t.Errorf("cut as text, whole as an object: %q; %+v", ids, stats[0])
	}
}

// TestBadAnswers: answers without events, and those that are broken.
func TestBadAnswers(t *testing.T) {
	a := event("a")
	tests := []struct {
		name, in                  string
		ids                       string
		other, truncated, corrupt int64
	}{
		{"a metric of Loki", `{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1763784701,"12"]]}]}}`, "", 1, 0, 0},
		{"an empty answer of Loki", `{"status":"success","data":{"resultType":"streams","result":[],"stats":{}}}`, "", 1, 0, 0},
		{"an error of Loki", `{"status":"error","errorType":"x","error":"y"}`, "", 1, 0, 0},
		{"an empty answer over lines", "{\n\"data\":{\n\"result\":[\n]}}", "", 0, 0, 0},
		{"an empty search", `{"took":1,"hits":{"total":{"value":0},"hits":[]}}`, "", 1, 0, 0},
		{"other logs of Loki", `{"data":{"result":[{"stream":{},"values":[["1","hello"]]}]}}`, "", 1, 0, 0},
		{"a text too long for journalctl", `{"MESSAGE":null}`, "", 1, 0, 0},
		{"numbers that are no bytes", `{"MESSAGE":[123,256,34]}`, "", 1, 0, 0},
		{"names without rows", `{"columns":[{"name":"log_s"}],"rows":[]}`, "", 1, 0, 0},
		{"rows that are none", `{"columns":[{"name":"log_s"}],"rows":[1,{},"x"]}`, "", 1, 0, 0},
		{"more cells than names", `{"columns":["log_s"],"rows":[[` + q(a) + `,` + q(event("b")) + `]]}`, "a", 0, 0, 0},
		{"names that are none", `{"columns":[1,{},null,{"name":7}],"rows":[[1,2,3,4]]}`, "", 1, 0, 0},
		{"a cut answer", `{"data":{"result":[{"stream":{},"values":[["1",` + q(a) + `],["2"`, "", 0, 1, 0},
		{"a cut answer over lines", "{\n\"data\":{\"result\":[{\"stream\":{},\"values\":[[\"1\"," + q(a) + "],[\"2\"", "a", 0, 1, 0},
		{"brackets that do not match", "{\n\"data\":{\"result\":[{\"values\":[[\"1\"," + q(a) + "}]}]}}", "", 0, 0, 1},
		{"a mark of another event's annotations", strings.Replace(a, "authentication.k8s.io/stale-token", "authentication_k8s_io_stale_token_", 1), "a", 0, 0, 0},
		{"data that is a list of numbers", `{"data":[123,34]}`, "", 1, 0, 0},
	}
	for _, tt := range tests {
		ids, first, stats := collect(t, auditlog.Options{}, text(tt.in))
		if s := stats[0]; strings.Join(ids, " ") != tt.ids || s.Other != tt.other || s.Truncated != tt.truncated || s.Corrupt != tt.corrupt {
			t.Errorf("%s: events %q, %d other, %d cut, %d corrupt", tt.name, ids, s.Other, s.Truncated, s.Corrupt)
		}
		if strings.HasPrefix(tt.name, "a mark") && first[10] != "" {
			t.Errorf("%s: %q", tt.name, first)
		}
	}
}

// TestLongAnswers: one document far longer than an event may be is read, whether
// it is on one line or on many, and is never held.
func TestLongAnswers(t *testing.T) {
	const n = 6_000 // 10 MB and more
	one := q(event("i"))
	docs := map[string][3]string{
		"Loki":           {`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[`, `["1",` + one + `]`, `]}],"stats":{}}}`},
		"Datadog":        {`{"data":[`, `{"attributes":{"attributes":` + event("i") + `}}`, `],"meta":{}}`},
		"Elasticsearch":  {`{"took":1,"hits":{"total":{"value":1},"hits":[`, `{"_source":` + event("i") + `}`, `]}}`},
		"Azure's tables": {`{"tables":[{"name":"t","columns":[{"name":"a"},{"name":"log_s"}],"rows":[`, `["1",` + one + `]`, `]}]}`},
		"CloudWatch":     {`{"messageType":"DATA_MESSAGE","logEvents":[`, `{"id":"1","message":` + one + `}`, `]}`},
		"OpenTelemetry":  {`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, `{"body":{"stringValue":` + one + `}}`, `]}]}]}`},
		"texts":          {`[`, one, `]`},
		"gcloud":         {`[`, strings.ReplaceAll(googleEntry, `"id":"a"`, `"id":"i"`), `]`},
		"az monitor":     {`[`, `{"log_s":` + one + `}`, `]`},
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	for name, doc := range docs {
		for way, between := range map[string]string{"on a line": ",", "over lines": ",\n  "} {
			runtime.GC()
			var stats auditlog.Stats
			peak := watchHeap(t, func() {
				in := io.MultiReader(strings.NewReader(doc[0]+strings.Repeat(" ", len(between)-1)), &repeat{s: strings.Repeat(doc[1]+between, 10), n: n / 10}, strings.NewReader(doc[1]+doc[2]))
				all, err := auditlog.Scan(t.Context(), []auditlog.Source{auditlog.Reader("log", in)}, auditlog.Options{}, func([]auditlog.Event) {})
				if err != nil {
					t.Fatal(err)
				}
				stats = all[0]
			})
			if stats.Events != n+1 || stats.Long+stats.Corrupt+stats.Truncated+stats.Other > 0 || peak > 64<<20 {
				t.Errorf("%s, %s: %d MiB of heap; %+v", name, way, peak>>20, stats)
			}
		}
	}
}

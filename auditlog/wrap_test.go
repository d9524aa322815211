package auditlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/auditlog"
)

// q writes a string as JSON.
func q(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func packed64(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// subscription is a record as CloudWatch sends it to a subscriber.
func subscription(kind string, events ...string) string {
	var list []string
	for i, e := range events {
		list = append(list, fmt.Sprintf(`{"id":"%d","timestamp":1763784701133,"message":%s}`, i, q(e)))
	}
	return fmt.Sprintf(`{"messageType":%q,"owner":"111122223333","logGroup":"/aws/eks/prod/cluster","logStream":"kube-apiserver-audit-abc","subscriptionFilters":["f"],"logEvents":[%s]}`,
		kind, strings.Join(list, ","))
}

// azureRow is an event as a row of the table AKSAudit.
func azureRow(id string, dynamic bool) string {
	var e struct {
		User, Annotations, ResponseStatus, SourceIPs json.RawMessage
		Stage, UserAgent                             string
		RequestReceivedTimestamp                     string
	}
	if err := json.Unmarshal([]byte(event(id)), &e); err != nil {
		panic(err)
	}
	v := func(m json.RawMessage) string {
		if dynamic {
			return string(m)
		}
		return q(string(m))
	}
	return fmt.Sprintf(`{"TimeGenerated":%q,"Level":"Metadata","AuditId":%q,"Stage":%q,"RequestUri":"/x","Verb":"get","User":%s,"SourceIps":%s,"UserAgent":%q,"ObjectRef":"{}","ResponseStatus":%s,"RequestReceivedTime":%q,"StageReceivedTime":%q,"Annotations":%s,"Type":"AKSAudit"}`,
		e.RequestReceivedTimestamp, id, e.Stage, v(e.User), v(e.SourceIPs), e.UserAgent, v(e.ResponseStatus), e.RequestReceivedTimestamp, e.RequestReceivedTimestamp, v(e.Annotations))
}

const googleEntry = `{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"system:serviceaccount:apps:web"},"authorizationInfo":[{"granted":true}],"methodName":"io.k8s.core.v1.pods.list","requestMetadata":{"callerIp":"10.0.7.7","callerSuppliedUserAgent":"web/v1 (linux/amd64)"},"resourceName":"core/v1/pods","serviceName":"k8s.io","status":{"code":0}},"insertId":"i1","resource":{"type":"k8s_cluster","labels":{"cluster_name":"prod"}},"timestamp":"2026-11-22T04:11:41.133602Z","labels":{"authorization.k8s.io/decision":"allow","authentication.k8s.io/stale-token":"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"},"operation":{"id":"a","producer":"k8s.io","first":true,"last":true}}`

// wraps are the shapes in which logs hold the events a and b.
func wraps(a, b string) map[string]string {
	two := func(f func(string) string) string { return f(a) + "\n" + f(b) + "\n" }
	csv := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	pretty := func(s string) string {
		var out bytes.Buffer
		if err := json.Indent(&out, []byte(s), "", "    "); err != nil {
			panic(err)
		}
		return out.String()
	}
	shapes := map[string]string{
		"CloudWatch subscription":          subscription("DATA_MESSAGE", a, b),
		"with a control message":           subscription("CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination Firehose.") + "\n" + subscription("DATA_MESSAGE", a, b),
		"Firehose to S3, without newlines": subscription("DATA_MESSAGE", a) + subscription("DATA_MESSAGE", b),
		"base64 and gzip, a record a line": packed64(subscription("DATA_MESSAGE", a)) + "\n" + packed64(subscription("DATA_MESSAGE", b)),
		"Lambda":                           fmt.Sprintf(`{"awslogs":{"data":"%s"}}`, packed64(subscription("DATA_MESSAGE", a, b))),
		"Firehose records":                 fmt.Sprintf(`{"invocationId":"x","records":[{"recordId":"1","data":"%s"},{"recordId":"2","data":"%s"}]}`, packed64(subscription("DATA_MESSAGE", a)), packed64(subscription("DATA_MESSAGE", b))),
		"Kinesis records":                  fmt.Sprintf(`{"Records":[{"kinesis":{"partitionKey":"k","data":"%s"},"eventSource":"aws:kinesis"}]}`, packed64(subscription("DATA_MESSAGE", a, b))),
		"export to S3":                     two(func(s string) string { return "2026-11-22T04:11:42.133Z " + s }),
		"aws logs tail":                    two(func(s string) string { return "2026-11-22T04:11:42.133000+00:00 kube-apiserver-audit-0a1b2c3d " + s }),
		"aws logs filter-log-events":       pretty(fmt.Sprintf(`{"events":[{"logStreamName":"kube-apiserver-audit-0","timestamp":1,"message":%s,"ingestionTime":2,"eventId":"3"},{"message":%s}],"searchedLogStreams":[]}`, q(a), q(b))),
		"aws logs get-query-results":       pretty(fmt.Sprintf(`{"results":[[{"field":"@timestamp","value":"2026-11-22 04:11:42.133"},{"field":"@message","value":%s},{"field":"@ptr","value":"x"}],[{"field":"@message","value":%s}]],"statistics":{"recordsMatched":2.0},"status":"Complete"}`, q(a), q(b))),
		"Logs Insights as JSON":            fmt.Sprintf(`[{"@timestamp":"2026-11-22 04:11:42.133","@message":%s},{"@message":%s}]`, a, q(b)),
		"Logs Insights as CSV":             "@timestamp,@message\r\n2026-11-22 04:11:42.133," + csv(a) + "\r\n2026-11-22 04:11:42.133," + csv(b) + "\r\n",
		"AzureDiagnostics rows": two(func(s string) string {
			return `{"TimeGenerated":"x","Category":"kube-audit","log_s":` + q(s) + `,"pod_s":"kube-apiserver-0"}`
		}),
		"AzureDiagnostics as CSV": "TimeGenerated,Category,log_s,pod_s\n1,kube-audit," + csv(a) + ",p\n2,kube-audit," + csv(b) + ",p",
		"Azure Monitor to storage": two(func(s string) string {
			return `{"time":"x","category":"kube-audit","operationName":"y","properties":{"log":` + q(s+"\n") + `,"stream":"stdout","pod":"p"}}`
		}),
		"Azure Monitor to Event Hubs": fmt.Sprintf(`{"records":[{"category":"kube-audit","properties":{"log":%s}},{"category":"kube-audit","properties":{"log":%s}}]}`, q(a), q(b)),
		"Fluent Bit": two(func(s string) string {
			return `{"date":1763784701.1,"log":` + q(s+"\n") + `,"stream":"stdout","kubernetes":{"pod_name":"x"}}`
		}),
		"Fluent Bit, merged": two(func(s string) string { return `{"date":1,"log_processed":` + s + `}` }),
		"Docker": two(func(s string) string {
			return `{"log":` + q(s+"\n") + `,"stream":"stdout","time":"2026-11-22T04:11:42.133Z"}`
		}),
		"Vector": two(func(s string) string {
			return `{"file":"/var/log/audit.log","host":"h","message":` + q(s) + `,"source_type":"file","timestamp":"2026-11-22T04:11:42Z"}`
		}),
		"Vector of Vector":          two(func(s string) string { return `{"message":` + q(`{"message":`+q(s)+`}`) + `}` }),
		"container runtime's lines": two(func(s string) string { return "2026-11-22T04:11:42.133602000Z stdout F " + s }),
		"logcli": two(func(s string) string {
			return `{"labels":{"job":"kube-audit"},"line":` + q(s) + `,"timestamp":"2026-11-22T04:11:42Z"}`
		}),
		"Elasticsearch":          two(func(s string) string { return `{"_index":"audit","_source":{"@timestamp":"x","message":` + q(s) + `}}` }),
		"Elasticsearch's answer": pretty(fmt.Sprintf(`{"took":1,"hits":{"total":{"value":2},"hits":[{"_source":%s},{"_source":{"message":%s}}]}}`, a, q(b))),
		"Splunk":                 two(func(s string) string { return `{"preview":false,"result":{"_raw":` + q(s) + `}}` }),
		"Splunk's collector":     two(func(s string) string { return `{"time":1,"sourcetype":"kube:audit","event":` + s + `}` }),
		"OpenTelemetry":          fmt.Sprintf(`{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[{"body":{"stringValue":%s}},{"body":{"stringValue":%s}}]}]}]}`, q(a), q(b)),
		"journald":               two(func(s string) string { return `{"_PID":"1","MESSAGE":` + q(s) + `}` }),
		"kubectl logs --prefix":  two(func(s string) string { return "[pod/kube-apiserver-0/kube-apiserver] " + s }),
		"docker compose":         two(func(s string) string { return "\x1b[36mapi-1  |\x1b[0m " + s }),
		"strings of JSON":        two(q),
		"after zeros":            strings.Repeat("\x00", 4096) + two(func(s string) string { return s }),
		"CloudWatch's console":   "timestamp,message\n1763784701133," + csv(a) + "\n1763784701133," + csv(b) + "\n",
		"PowerShell's table":     "#TYPE System.Object\r\n\"@timestamp\";\"@message\"\r\n\"1\";" + csv(a) + "\r\n\"1\";" + csv(b) + "\r\n",
		"UTF-16":                 utf16le("\ufeff" + a + "\r\n" + b + "\r\n"),
		"UTF-16 without a mark":  utf16le(a + "\n" + b + "\n"),
		"a list in UTF-16":       utf16le("\ufeff" + pretty(`{"kind":"EventList","items":[`+a+","+b+"]}")),
		"tar":                    tarOf(a+"\n", packedGzip(b)),
		"tar in tar":             tarOf(tarOf(a), "", utf16le(b)),
		"syslog":                 two(func(s string) string { return "<134>Nov 22 04:11:42 host kube-apiserver: " + s }),
	}
	maps.Copy(shapes, answers(a, b))
	return shapes
}

// TestWraps: whatever is around an event, the same is read from it.
func TestWraps(t *testing.T) {
	_, want, _ := collect(t, auditlog.Options{}, text(event("a")))
	for name, in := range wraps(event("a"), event("b")) {
		for _, kind := range []string{"plain", "gzip"} {
			ids, got, stats := collect(t, auditlog.Options{}, text(packed(t, kind, in)))
			if s := stats[0]; !slices.Equal(ids, []string{"a", "b"}) || !slices.Equal(got, want) || s.Corrupt+s.Truncated+s.Other > 0 || s.Err != nil {
				t.Errorf("%s, %s: events %q, first %q; %+v", name, kind, ids, got, s)
			}
			ids, _, _ = collect(t, auditlog.Options{MarksOnly: true}, text(packed(t, kind, in)))
			if !slices.Equal(ids, []string{"a", "b"}) {
				t.Errorf("%s, %s: marks %q", name, kind, ids)
			}
		}
	}
}

func TestCloudRows(t *testing.T) {
	_, want, _ := collect(t, auditlog.Options{}, text(event("a")))
	for name, in := range map[string]string{
		"AKSAudit":                azureRow("a", true),
		"AKSAudit, dynamic texts": azureRow("a", false),
		"AKSAudit rows as a list": "[\n" + azureRow("a", false) + "\n]",
	} {
		ids, got, _ := collect(t, auditlog.Options{}, text(in))
		if !slices.Equal(ids, []string{"a"}) || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	_, got, stats := collect(t, auditlog.Options{}, text(googleEntry))
	google := slices.Clone(want)
	for _, i := range []int{2, 3, 4, 5} { // credential id, pod, pod's uid, node
		google[i] = ""
	}
	google[8] = "0"
	if !slices.Equal(got, google) || stats[0].Shapes != auditlog.GKEEntries {
		t.Errorf("GKE: %q, want %q; shapes %v", got, google, stats[0].Shapes)
	}
	refused := strings.Replace(strings.Replace(googleEntry, `"code":0`, `"code":16`, 1), "system:serviceaccount:apps:web", "system:anonymous", 1)
	if _, got, _ := collect(t, auditlog.Options{}, text(refused)); got == nil || got[8] != "401" || got[1] != "" {
		t.Errorf("GKE, refused: %q", got)
	}
}

func TestShapesAreNoted(t *testing.T) {
	for want, in := range map[auditlog.Shape]string{
		auditlog.CloudWatch:   subscription("DATA_MESSAGE", event("a")),
		auditlog.AKSAdmin:     `{"category":"kube-audit-admin","properties":{"log":` + q(event("a")) + `}}`,
		auditlog.QueryResults: `{"results":[[{"field":"@message","value":` + q(event("a")) + `}]]}`,
		auditlog.JournalNulls: `{"MESSAGE":null}` + "\n" + `{"MESSAGE":` + q(event("a")) + `}`,
		0:                     event("a"),
	} {
		if _, _, stats := collect(t, auditlog.Options{}, text(in)); stats[0].Shapes != want || stats[0].Events != 1 {
			t.Errorf("%.60s: shapes %v, want %v", in, stats[0].Shapes, want)
		}
	}
}

// TestBadWraps: what is no audit log in an envelope is no fault, what is a cut
// one is.
func TestBadWraps(t *testing.T) {
	tests := []struct {
		name, in                  string
		other, truncated, corrupt int64
	}{
		{"an ordinary line", `{"log":"hello\n","stream":"stdout"}`, 1, 0, 0},
		{"an ordinary line with brackets", `{"log":"x = {1, 2","stream":"stdout"}`, 1, 0, 0},
		{"a cut event", `{"message":` + q(event("a")[:500]) + `}`, 0, 1, 0},
		{"a cut record", subscription("DATA_MESSAGE", event("a"))[:600], 0, 1, 0},
		{"a record that is no base64", `{"awslogs":{"data":"!!!"}}`, 1, 0, 0},
		{"a damaged record on a line", packed64(subscription("DATA_MESSAGE", event("a")))[:80], 0, 0, 1},
		{"a control message", subscription("CONTROL_MESSAGE", "CWL CONTROL MESSAGE"), 0, 0, 0},
		{"a bad escape", `{"message":"{\"kind\":\"Event\",\q"}`, 0, 0, 1},
		{"an endless nest of envelopes", strings.Repeat(`{"event":`, 50) + event("a") + strings.Repeat("}", 50), 1, 0, 0},
		{"a GKE entry of another service", strings.Replace(googleEntry, "k8s.io\",\"status", "compute\",\"status", 1), 1, 0, 0},
	}
	for _, tt := range tests {
		ids, _, stats := collect(t, auditlog.Options{}, text(tt.in))
		if s := stats[0]; len(ids) > 0 || s.Other != tt.other || s.Truncated != tt.truncated || s.Corrupt != tt.corrupt {
			t.Errorf("%s: events %q, %d other, %d cut, %d corrupt", tt.name, ids, s.Other, s.Truncated, s.Corrupt)
		}
	}
}

// FuzzWraps: no envelope makes a scan fail.
func FuzzWraps(f *testing.F) {
	for _, in := range wraps(event("a"), event("b")) {
		f.Add(in)
	}
	f.Add(googleEntry)
	f.Add(azureRow("a", false))
	f.Fuzz(func(t *testing.T, text string) {
		got, stats := scanText(t, text)
		if int64(len(got)) != stats.Events {
			t.Errorf("%d events, counted %d", len(got), stats.Events)
		}
	})
}

// TestInsightsColumns: what people's own query for stale tokens prints is read
// without the events themselves.
func TestInsightsColumns(t *testing.T) {
	const subject = "system:serviceaccount:kube-system:kube2iam"
	want := []string{"ResponseComplete", subject, "", "", "", "", "", "", "0", "2026-11-22T04:11:42.133Z", "subject: " + subject + ", seconds after warning threshold: 7685994"}
	more := slices.Clone(want)
	more[2], more[3], more[6], more[7] = "JTI=x", "kube2iam-x7k2p", "10.0.1.7", "kube2iam/v0"
	field := func(pairs ...string) string {
		var out []string
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, fmt.Sprintf(`{"field":%q,"value":%q}`, pairs[i], pairs[i+1]))
		}
		return `{"results":[[` + strings.Join(out, ",") + `]],"status":"Complete"}`
	}
	tests := []struct {
		name, in string
		want     []string
	}{
		{"the user guide's query", field("@timestamp", "2026-11-22 04:11:42.133", "subject", subject, "elapsedtime", " 7685994", "@ptr", "x"), want},
		{"as a table", "@timestamp,subject,elapsedtime\n2026-11-22 04:11:42.133," + subject + ",7685994\n", want},
		{"as objects", `[{"@timestamp":"2026-11-22 04:11:42.133","subject":"` + subject + `","elapsed seconds":"7685994"}]`, want},
		{"fields found by the engine", field("@timestamp", "2026-11-22 04:11:42.133", "annotations.authentication.k8s.io/stale-token", want[10], "userAgent", "kube2iam/v0",
			"sourceIPs.0", "10.0.1.7", "user.extra.authentication.kubernetes.io/pod-name.0", "kube2iam-x7k2p", "user.extra.authentication.kubernetes.io/credential-id.0", "JTI=x"), more},
		{"a count", field("subject", subject, "count(*)", "12"), nil},
		{"no time", field("subject", subject, "elapsedtime", "7"), nil},
		{"no number", field("@timestamp", "2026-11-22 04:11:42.133", "subject", subject, "elapsedtime", "-7"), nil},
		{"no such time", field("@timestamp", "yesterday", "subject", subject, "elapsedtime", "7"), nil},
	}
	for _, tt := range tests {
		_, got, stats := collect(t, auditlog.Options{}, text(tt.in))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if tt.want != nil && (stats[0].Shapes != auditlog.QueryResults|auditlog.InsightsColumns || stats[0].Other+stats[0].Corrupt > 0) {
			t.Errorf("%s: %+v", tt.name, stats[0])
		}
	}
}

//go:build unix

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/auditlog/cloudwatch/insightsfake"
	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/conformance/wait"
)

// sameFromEverywhere scans the lab's audit log as it is, gzipped, as CloudWatch
// hands it to a subscriber, and where Logs Insights and a real Loki hold it: the
// report is the same each time, but for where it is from.
func sameFromEverywhere(t *testing.T, ctx context.Context) {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(shared.AuditLog))
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	// The log grows while it is read: as of then, the copy has all of it.
	at := time.Now().Add(-15 * time.Second).UTC().Truncate(time.Second)
	events := timed(t, data)

	loki := must[*lab.Loki](t)(shared.Loki(ctx))
	if err := loki.PushAudit(ctx, string(data), map[string]string{"job": "lab"}); err != nil {
		t.Fatal(err)
	}
	insights := insightsfake.Start()
	defer insights.Close()
	insights.Groups["/aws/eks/lab/cluster"] = events
	env := append(insights.Env(), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")

	report := func(source string) map[string]any {
		out := program(t, "kubecred", env, "tokens", "scan", "--profile", "eks", "--now", at.Format(time.RFC3339), "-o", "json", "--fail-on", "never", source)
		wantStatus(t, out, 0)
		var v map[string]any
		if err := json.Unmarshal([]byte(out.Stdout), &v); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		delete(v, "sources") // names, sizes and counts of events
		// Other tests use the same log, and begin and end meanwhile.
		v["tokens"] = plantedOnly(v["tokens"], "serviceAccount")
		v["rejected"] = plantedOnly(v["rejected"], "likely")
		for _, row := range v["tokens"].([]any) {
			// Engines are not asked for the requests by which others had tokens
			// issued: of a token without a mark only the whole log tells that.
			if token := row.(map[string]any); token["diesAt"] == nil {
				delete(token, "issuedTo")
				delete(token, "issuedAt")
			}
		}
		return v
	}
	want := report(shared.AuditLog)
	if tokens, _ := want["tokens"].([]any); len(tokens) < 6 {
		t.Fatalf("the live log shows %d tokens, and more were planted: %v", len(tokens), want)
	}
	for name, source := range map[string]string{
		"gzip":                 file(t, "audit.log.gz", zipped(t, data)),
		"a subscription":       file(t, "subscription", subscription(t, events, 200)),
		"CloudWatch's engine":  "cloudwatch://eu-west-1/lab",
		"a copy in two halves": file(t, "halves", string(data[bytes.IndexByte(data[len(data)/2:], '\n')+len(data)/2+1:])+string(data[:bytes.IndexByte(data[len(data)/2:], '\n')+len(data)/2+1])),
	} {
		if diff := cmp.Diff(want, report(source)); diff != "" {
			t.Errorf("the report from %s differs from that of the live log (-live +other):\n%s", name, diff)
		}
	}
	// Loki shows what it was given some moments later.
	source := "loki+" + loki.URL + `/?query={job="lab"}`
	diff := ""
	same := func() bool { diff = cmp.Diff(want, report(source)); return diff == "" }
	limit, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	if err := wait.Until(limit, time.Second, same); err != nil {
		t.Fatalf("the report from Loki differs from that of the live log (-live +Loki):\n%s", diff)
	}
}

// plantedOnly are those of a report's rows that are of planted workloads.
func plantedOnly(rows any, account string) []any {
	var out []any
	list, _ := rows.([]any)
	for _, row := range list {
		name, _ := row.(map[string]any)[account].(string)
		for _, s := range lab.Incidents() {
			if name == s.Namespace+"/"+s.Account {
				out = append(out, row)
				break
			}
		}
	}
	return out
}

// timed splits a log into its events and the times of their requests.
func timed(t *testing.T, data []byte) []insightsfake.Line {
	t.Helper()
	var out []insightsfake.Line
	for line := range strings.Lines(string(data)) {
		var e struct{ RequestReceivedTimestamp time.Time }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, insightsfake.Line{At: e.RequestReceivedTimestamp, Text: strings.TrimSuffix(line, "\n")})
	}
	return out
}

func zipped(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// subscription writes events as the records of a CloudWatch subscription, as
// Kinesis holds them: each base64 of gzip of up to n events.
func subscription(t *testing.T, events []insightsfake.Line, n int) string {
	t.Helper()
	var out strings.Builder
	for from := 0; from < len(events); from += n {
		var logEvents []any
		for i, e := range events[from:min(from+n, len(events))] {
			logEvents = append(logEvents, map[string]any{"id": fmt.Sprintf("%056d", from+i), "timestamp": e.At.UnixMilli(), "message": e.Text})
		}
		record, err := json.Marshal(map[string]any{
			"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/eks/lab/cluster",
			"logStream": "kube-apiserver-audit-0", "subscriptionFilters": []string{"all"}, "logEvents": logEvents,
		})
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(base64.StdEncoding.EncodeToString([]byte(zipped(t, record))) + "\n")
	}
	return out.String()
}

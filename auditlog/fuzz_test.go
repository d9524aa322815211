package auditlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kubecred/kubecred/auditlog"
)

// facts is an event as text.
func facts(e auditlog.Event) string {
	return fmt.Sprintf("%q %q %q %q %q %q %q %q %q %d %s %q", e.AuditID, e.Stage, e.Username, e.CredentialID, e.PodName,
		e.PodUID, e.NodeName, e.UserAgent, e.SourceIP, e.Code, e.Time.Format(time.RFC3339Nano), e.Mark)
}

func scanText(t testing.TB, text string) ([]string, auditlog.Stats) {
	var mu sync.Mutex
	var out []string
	stats, err := auditlog.Scan(context.Background(), []auditlog.Source{auditlog.Reader("x", strings.NewReader(text))}, auditlog.Options{Workers: 1},
		func(events []auditlog.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				out = append(out, facts(e))
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out, stats[0]
}

// reference reads one event with encoding/json.
func reference(line string) (string, bool) {
	var m map[string]any
	if json.Unmarshal([]byte(line), &m) != nil || m == nil {
		return "", false
	}
	str := func(m map[string]any, k string) string { s, _ := m[k].(string); return s }
	sub := func(m map[string]any, k string) map[string]any { s, _ := m[k].(map[string]any); return s }
	first := func(m map[string]any, k string) string {
		l, _ := m[k].([]any)
		if len(l) == 0 {
			return ""
		}
		s, _ := l[0].(string)
		return s
	}
	if k := str(m, "kind"); k != "" && k != "Event" {
		return "", false
	}
	if v := str(m, "apiVersion"); v != "" && !strings.HasPrefix(v, "audit.k8s.io/") {
		return "", false
	}
	at, err := time.Parse(time.RFC3339Nano, str(m, "requestReceivedTimestamp"))
	if err != nil || str(m, "auditID") == "" || str(m, "stage") == "" || at.UTC().Year() < 1970 || at.UTC().Year() >= 2200 {
		return "", false
	}
	user := sub(m, "user")
	extra := sub(user, "extra")
	code, _ := sub(m, "responseStatus")["code"].(float64)
	if code != float64(int(code)) {
		return "", false
	}
	const k = "authentication.kubernetes.io/"
	return fmt.Sprintf("%q %q %q %q %q %q %q %q %q %d %s %q", str(m, "auditID"), str(m, "stage"), str(user, "username"),
		first(extra, k+"credential-id"), first(extra, k+"pod-name"), first(extra, k+"pod-uid"), first(extra, k+"node-name"),
		str(m, "userAgent"), first(m, "sourceIPs"), int(code), at.UTC().Format(time.RFC3339Nano),
		str(sub(m, "annotations"), "authentication.k8s.io/stale-token")), true
}

// rewritten tells of keys that are none of an event's own, which the reference
// does not know.
var rewritten = regexp.MustCompile(`"(authentication["_]|authentication\.[^"]*_|kubernetes["_]|user\.|annotations\.|responseStatus\.|sourceIPs\.|sourceIPs"\s*:\s*")`)

// FuzzEvent: whatever encoding/json takes for an event is read the same here.
func FuzzEvent(f *testing.F) {
	f.Add(event("a"))
	f.Add(strings.ReplaceAll(event("b"), `:`, " :\t"))
	f.Add(strings.Replace(event("c"), `"annotations":{`, `"annotations":{"a":[1,{"b":null}],`, 1))
	f.Add(`{"auditID":"\u0061\ud83d\ude00","stage":"\"","requestReceivedTimestamp":"2026-11-22T04:11:41+02:00","user":{"username":"ä ö"},"responseStatus":{"code":401}}`)
	f.Add(`{"auditID":"a","stage":"b","requestReceivedTimestamp":"2026-11-22T04:11:41Z","user":null,"user":{"extra":{"authentication.kubernetes.io/pod-name":[]}},"sourceIPs":[1]}`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n") || !utf8.ValidString(line) {
			return
		}
		want, ok := reference(line)
		got, _ := scanText(t, line)
		if ok && strings.Contains(line, "e+") || strings.Contains(line, "E") {
			return // a code written as 4e2 is no code of an API server
		}
		if rewritten.MatchString(line) {
			return // keys that an engine made of an event's
		}
		if ok && !slices.Equal(got, []string{want}) {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	})
}

// FuzzScan: nothing makes a scan fail, and whatever it finds in a text it also
// finds when a whole line is added in front of it and behind it.
func FuzzScan(f *testing.F) {
	f.Add(event("a") + "\n" + event("b")[:300] + event("c") + "\n")
	f.Add("{\n\"kind\": \"EventList\",\n\"items\": [" + event("a") + "," + event("b") + "]}")
	f.Add("[\n" + event("a") + "]")
	f.Add("{\"items\":[{\"items\":[" + event("a") + "]}]}\n[[]]")
	f.Add("\x1f\x8b\x08\x00")
	f.Add("\x28\xb5\x2f\xfd\x00")
	f.Add("BZh91AY&SY")
	f.Fuzz(func(t *testing.T, text string) {
		got, stats := scanText(t, text)
		if int64(len(got)) != stats.Events {
			t.Errorf("%d events, counted %d", len(got), stats.Events)
		}
		if stats.Err != nil {
			return
		}
		around, _ := scanText(t, event("first")+"\n"+strings.ReplaceAll(text, "\n", " ")+"\n"+event("last"))
		if len(around) < 2 {
			t.Errorf("the whole lines around were lost: %s", around)
		}
	})
}

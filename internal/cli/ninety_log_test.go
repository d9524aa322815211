package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// clusterMade is day 0 of the incident that docs/incidents.md tells.
var clusterMade = time.Date(2026, 8, 24, 4, 0, 0, 0, time.UTC)

// dayOf is the moment of a day at which somebody looks: half past four.
func dayOf(n int) time.Time { return clusterMade.AddDate(0, 0, n).Add(30 * time.Minute) }

// story is a program of the incident: the pods that it runs in, one after the
// other, and whether it reads its token again.
type story struct {
	account, agent, source, verb, uri string
	pods                              []storyPod
}

type storyPod struct {
	name  string
	from  time.Time // when its token was issued
	until time.Time // when it was replaced, zero for never
	habit string    // "once", "again" or "when refused"
}

// ninetyDays are the programs of the incident.
func ninetyDays() []story {
	at := func(day int, clock string) time.Time {
		d, err := time.ParseDuration(clock)
		if err != nil {
			panic(err)
		}
		return clusterMade.AddDate(0, 0, day).Add(d)
	}
	const kube2iam = "kube2iam/v0.0.0 (linux/amd64) kubernetes/$Format"
	return []story{
		{"kube-system:kube2iam", kube2iam, "10.0.1.7", "get", "/api/v1/namespaces/apps/pods/web", []storyPod{{name: "kube2iam-x7k2p", from: at(0, "4m49s"), habit: "once"}}},
		{"kube-system:kube2iam", kube2iam, "10.0.2.9", "get", "/api/v1/namespaces/apps/pods/web", []storyPod{{name: "kube2iam-9q4mz", from: at(0, "6m2s"), habit: "once"}}},
		{"secrets:kubernetes-external-secrets", "kubernetes-external-secrets/8.5.5", "10.0.1.23", "list", "/apis/kubernetes-client.io/v1/externalsecrets", []storyPod{
			{name: "kubernetes-external-secrets-6d8f7c9b5-hx2lq", from: at(0, "9m30s"), until: at(60, "5h"), habit: "once"},
			{name: "kubernetes-external-secrets-7bb94d6f8-m4c8z", from: at(60, "5h"), habit: "once"},
		}},
		{"apps:payments", "payments/v2.3.0 (linux/amd64) kubernetes/0a1b2c3", "10.0.7.7", "list", "/api/v1/namespaces/apps/configmaps", []storyPod{
			{name: "payments-7c9d5b6f4-t5w9x", from: at(0, "12m"), until: at(30, "6h"), habit: "once"},
			{name: "payments-58d4c77b9-k8r2d", from: at(30, "6h"), habit: "again"},
		}},
		{"logging:fluentd", "Ruby/kubeclient", "10.0.5.5", "list", "/api/v1/pods", []storyPod{{name: "fluentd-7xk9d", from: at(0, "7m11s"), habit: "when refused"}}},
		{"monitoring:prometheus", "Prometheus/2.55.1", "10.0.3.3", "list", "/api/v1/endpoints", []storyPod{{name: "prometheus-0", from: at(0, "8m"), habit: "again"}}},
	}
}

// ninetyDaysLog writes the audit log of the incident as a kube-apiserver would
// have: each program asks something every eight hours, from five hours after it
// began, and on the last day each quarter of an hour.
func ninetyDaysLog() []byte {
	type event struct {
		at   time.Time
		line []byte
	}
	var events []event
	uuid := uuids()
	for _, s := range ninetyDays() {
		for i := range s.pods {
			p := &s.pods[i]
			podUID := uuid()
			token, issued := uuid(), p.from
			for _, at := range requests(p) {
				if p.habit == "again" && at.Sub(issued) > 48*time.Minute {
					token, issued = uuid(), at.Add(-at.Sub(p.from)%(48*time.Minute))
				}
				refused := at.After(issued.Add(90*24*time.Hour + time.Minute))
				for _, line := range s.events(*p, podUID, uuid(), token, issued, at, refused) {
					events = append(events, event{at, line})
				}
				if refused && p.habit == "when refused" {
					at = at.Add(800 * time.Millisecond)
					token, issued = uuid(), at.Add(-9*time.Minute)
					for _, line := range s.events(*p, podUID, uuid(), token, issued, at, false) {
						events = append(events, event{at, line})
					}
				}
			}
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	var out bytes.Buffer
	for _, e := range events {
		out.Write(e.line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// requests are the moments at which the program in a pod asks for something.
func requests(p *storyPod) []time.Time {
	end := clusterMade.AddDate(0, 0, 91).Add(12 * time.Hour)
	if !p.until.IsZero() {
		end = p.until
	}
	var out []time.Time
	for at := p.from.Add(5 * time.Second); at.Before(end); {
		out = append(out, at)
		switch day90 := clusterMade.AddDate(0, 0, 90); {
		case at.Before(p.from.Add(time.Hour)):
			at = at.Add(5 * time.Hour)
		case at.After(day90.Add(-12*time.Hour)) && at.Before(day90.Add(time.Hour)):
			at = at.Add(15 * time.Minute)
		default:
			at = at.Add(8 * time.Hour)
		}
	}
	return out
}

// events are those of one request: of its arrival and its end, or of a refusal,
// which names no user and has one stage.
func (s story) events(p storyPod, podUID, audit, token string, issued, at time.Time, refused bool) [][]byte {
	const stamp = "2006-01-02T15:04:05.000000Z"
	ns, name, _ := strings.Cut(s.account, ":")
	e := map[string]any{
		"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": audit,
		"requestURI": s.uri, "verb": s.verb, "userAgent": s.agent, "sourceIPs": []string{s.source, "10.0.0.2"},
		"requestReceivedTimestamp": at.Format(stamp), "stageTimestamp": at.Format(stamp),
	}
	line := func(more map[string]any) []byte {
		for k, v := range more {
			e[k] = v
		}
		data, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		return data
	}
	if refused {
		return [][]byte{line(map[string]any{"stage": "ResponseStarted", "user": map[string]any{}, "responseStatus": map[string]any{"metadata": map[string]any{}, "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}})}
	}
	user := map[string]any{
		"username": "system:serviceaccount:" + s.account, "groups": []string{"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"},
		"extra": map[string]any{
			"authentication.kubernetes.io/credential-id": []string{"JTI=" + token},
			"authentication.kubernetes.io/pod-name":      []string{p.name},
			"authentication.kubernetes.io/pod-uid":       []string{podUID},
		},
	}
	marks := map[string]string{}
	if late := at.Sub(issued) - 3607*time.Second; late > 0 {
		marks["authentication.k8s.io/stale-token"] = fmt.Sprintf("subject: system:serviceaccount:%s:%s, seconds after warning threshold: %d", ns, name, int(late/time.Second))
	}
	first := line(map[string]any{"stage": "RequestReceived", "user": user, "annotations": marks})
	marks["authorization.k8s.io/decision"] = "allow"
	return [][]byte{first, line(map[string]any{"stage": "ResponseComplete", "stageTimestamp": at.Add(3 * time.Millisecond).Format(stamp), "responseStatus": map[string]any{"metadata": map[string]any{}, "code": 200}})}
}

// uuids returns a source of ids that are the same in each run.
func uuids() func() string {
	n := 0
	return func() string {
		n++
		b := sha256.Sum256(fmt.Appendf(nil, "day 90, %d", n))
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
	}
}

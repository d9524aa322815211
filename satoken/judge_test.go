package satoken_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/satoken"
)

// use is a request in a test: at second t after the start, by a token of age.
type use struct {
	At                                      int // seconds after start
	Account, Pod, UID, Node, JTI, Agent, IP string
	// Stale is the number of seconds after the warning threshold, -1 for no mark.
	Stale int
	// Refused: a 401 without a user.
	Refused bool
	// ID is the audit id; "" makes one of the rest.
	ID string
	// Owner is the account's uid, or "none".
	Owner string
}

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func (u use) events() []map[string]any {
	at := start.Add(time.Duration(u.At) * time.Second).Format("2006-01-02T15:04:05.000000Z")
	id := u.ID
	if id == "" {
		id = fmt.Sprintf("%d-%s-%s-%s-%s", u.At, u.Account, u.Pod, u.JTI, u.Agent)
	}
	e := func(stage string, code int) map[string]any {
		m := map[string]any{
			"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": id, "stage": stage, "userAgent": u.Agent,
			"sourceIPs": []string{u.IP, "127.0.0.1"}, "requestReceivedTimestamp": at, "stageTimestamp": at, "user": map[string]any{},
		}
		if code > 0 {
			m["responseStatus"] = map[string]any{"code": code}
		}
		if u.Refused {
			return m
		}
		extra := map[string]any{}
		for k, v := range map[string]string{"credential-id": u.JTI, "pod-name": u.Pod, "pod-uid": u.UID, "node-name": u.Node} {
			if v != "" {
				if k == "credential-id" {
					v = "JTI=" + v
				}
				extra["authentication.kubernetes.io/"+k] = []string{v}
			}
		}
		user := "system:serviceaccount:" + strings.Replace(u.Account, "/", ":", 1)
		m["user"] = map[string]any{"username": user, "uid": cmp.Or(u.Owner, "529808a5-df76-4f2b-b0d3-471e621bf94e"), "extra": extra}
		if u.Owner == "none" {
			delete(m["user"].(map[string]any), "uid")
		}
		if u.Stale >= 0 {
			m["annotations"] = map[string]any{"authentication.k8s.io/stale-token": fmt.Sprintf("subject: %s, seconds after warning threshold: %d", user, u.Stale)}
		}
		return m
	}
	if u.Refused {
		return []map[string]any{e("ResponseStarted", 401)}
	}
	return []map[string]any{e("RequestReceived", 0), e("ResponseComplete", 200)}
}

func lines(uses []use) []string {
	var out []string
	for _, u := range uses {
		for _, e := range u.events() {
			data, err := json.Marshal(e)
			if err != nil {
				panic(err)
			}
			out = append(out, string(data))
		}
	}
	return out
}

func judge(t testing.TB, o satoken.JudgeOptions, sources ...auditlog.Source) satoken.Judgement {
	t.Helper()
	return judgeAs(t, o, auditlog.Options{Workers: 2}, sources...)
}

func judgeAs(t testing.TB, o satoken.JudgeOptions, how auditlog.Options, sources ...auditlog.Source) satoken.Judgement {
	t.Helper()
	tally := satoken.NewTally(satoken.TallyOptions{})
	how.Fold = tally.Fold()
	stats, err := auditlog.Scan(t.Context(), sources, how, tally.Add)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if s.Err != nil || s.Corrupt+s.Truncated > 0 {
			t.Fatalf("%+v", s)
		}
	}
	if o.Profile.Name == "" {
		o.Profile, _ = satoken.ParseProfile("eks")
	}
	return tally.Judge(o)
}

const month = 30 * 24 * 3600 // a stale token's age, with two months to go

// old is a use of a stale token that is a month old at the start.
func old(at int, pod, jti string) use {
	return use{At: at, Account: "apps/web", Pod: pod, UID: "uid-" + pod, JTI: jti, Agent: "web/1", IP: "10.0.0.1", Stale: month + at}
}

func fresh(at int, pod, jti string) use {
	u := old(at, pod, jti)
	u.Stale = -1
	return u
}

func with(u use, change func(*use)) use { change(&u); return u }

func TestVerdicts(t *testing.T) {
	refusedAt := func(at int) use { return use{At: at, Agent: "web/1", IP: "10.0.0.1", Refused: true} }
	// almost is a use of a token that dies 60 s after the start.
	const life = 90*24*3600 - 3607
	almost := func(at int, jti string) use {
		return with(old(at, "web-6d8f7c9b5-hx2lq", jti), func(u *use) { u.Stale = life + at })
	}
	const a, b, other = "web-6d8f7c9b5-hx2lq", "web-6d8f7c9b5-zz9rt", "job-5b7d6f4c8-tq2wn"
	tests := []struct {
		name string
		uses []use
		now  int
		want string // JTI=verdict of each token
	}{
		{"in use", []use{old(0, a, "x"), old(60, a, "x")}, 100, "x=stale"},
		{"long unused, nothing fresher", []use{old(0, a, "x")}, 80 * 86400, "x=dead"},
		{"dead", []use{almost(0, "x"), refusedAt(70), refusedAt(80)}, 100, "x=dead"},
		{"just before its death", []use{almost(0, "x")}, 59, "x=stale"},
		{"at its death", []use{almost(0, "x")}, 60, "x=dead"},
		{"reloads when refused", []use{almost(0, "x"), refusedAt(70), fresh(71, a, "y")}, 100, "x=reloads-when-refused y=fresh"},
		{"reloads when refused, and keeps that one as well", []use{almost(0, "x"), refusedAt(70), fresh(71, a, "y"), with(old(7200, a, "y"), func(u *use) { u.Stale = 3000 })}, 7300, "x=reloads-when-refused y=reloads-when-refused"},
		{"refused, then another container's stale token", []use{almost(0, "x"), refusedAt(70),
			with(old(71, a, "y"), func(u *use) { u.Agent = "sidecar" })}, 100, "x=dead y=stale"},
		{"refused, then another container's token", []use{almost(0, "x"), refusedAt(70),
			with(fresh(1, a, "y"), func(u *use) { u.Agent = "sidecar" }), with(fresh(71, a, "z"), func(u *use) { u.Agent = "sidecar" })}, 100, "x=dead y=fresh z=fresh"},
		{"fresh token of the same pod afterwards", []use{old(0, a, "x"), fresh(10, a, "y")}, 100, "x=healed y=fresh"},
		{"later pod", []use{old(0, a, "x"), fresh(10, b, "y")}, 100, "x=healed y=fresh"},
		{"later pod, but the old token goes on", []use{old(0, a, "x"), fresh(10, b, "y"), old(20, a, "x")}, 100, "x=stale y=fresh"},
		{"later pod of another workload", []use{old(0, a, "x"), fresh(10, other, "y")}, 100, "x=stale y=fresh"},
		{"replica beside it", []use{old(0, a, "x"), fresh(-10, b, "y"), fresh(10, b, "y")}, 100, "x=stale y=fresh"},
		{"rollout that overlaps", []use{old(0, a, "x"), fresh(10, b, "y"), old(20, a, "x"), fresh(1300, b, "y")}, 2000, "x=healed y=fresh"},
		{"side by side in a pod", []use{old(0, a, "x"), fresh(10, a, "y"), old(20, a, "x"), fresh(25, a, "y")}, 100, "x=stale,partial y=fresh"},
		{"another container begins later", []use{old(0, a, "x"), with(fresh(10, a, "y"), func(u *use) { u.Agent = "sidecar" })}, 100, "x=stale,partial y=fresh"},
		{"fresh token of another account", []use{old(0, a, "x"), with(fresh(10, a, "y"), func(u *use) { u.Account = "apps/api"; u.UID = "q" })}, 100, "x=stale"},
		{"snoozed", []use{old(0, a, "x"), with(old(5*86400, b, "y"), func(u *use) { u.Stale = 86400 })}, 5*86400 + 10, "x=snoozed y=stale"},
		{"two pods that are stale both, the other seen later", []use{old(0, a, "x"), with(old(1, b, "y"), func(u *use) { u.Stale = 86400 })}, 100, "x=stale y=stale"},
		{"a new replica, the old one not yet due", []use{old(0, a, "x"), old(600, a, "x"), fresh(700, b, "y")}, 800, "x=stale y=fresh"},
		{"two pods that are stale both", []use{old(0, a, "x"), with(old(0, b, "y"), func(u *use) { u.Stale = 86400 }), old(60, a, "x")}, 100, "x=stale y=stale"},
		{"restarted StatefulSet pod of the same name", []use{old(0, "db-0", "x"), with(fresh(10, "db-0", "y"), func(u *use) { u.UID = "new" })}, 100, "x=healed y=fresh"},
		{"fresh token of the namesake in another cluster", []use{old(0, "db-0", "x"), with(fresh(10, "db-0", "y"), func(u *use) { u.Owner = "b"; u.UID = "new" })}, 100, "x=stale y=fresh"},
		{"later pod of the namesake", []use{old(0, a, "x"), with(fresh(10, b, "y"), func(u *use) { u.Owner = "b" })}, 100, "x=stale y=fresh"},
		{"namesakes' pods without uids", []use{with(old(0, "db-0", ""), func(u *use) { u.UID = "" }),
			with(fresh(10, "db-0", ""), func(u *use) { u.UID, u.Owner, u.ID = "", "b", "other" })}, 100, "=fresh =stale"},
		{"namesake's pod that is stale too", []use{old(0, a, "x"), with(old(5*86400, b, "y"), func(u *use) { u.Stale = 86400; u.Owner = "b" })}, 5*86400 + 10, "x=stale y=stale"},
		{"refused, and the namesake's token after", []use{almost(0, "x"), refusedAt(70), with(fresh(71, a, "y"), func(u *use) { u.Owner = "b" })}, 100, "x=dead y=fresh"},
		{"an account whose uid one event lacks", []use{old(0, a, "x"), with(fresh(10, a, "y"), func(u *use) { u.Owner = "none" })}, 100, "x=healed y=fresh"},
		{"no credential ids", []use{old(0, a, ""), old(7, a, "")}, 100, "=stale"},
		{"no credential ids, two ages", []use{old(0, a, ""), with(old(0, a, ""), func(u *use) { u.Stale -= 86400; u.ID = "other" })}, 100, "=stale =stale"},
		{"no credential ids, its own first hour", []use{fresh(-month-3000, a, ""), old(0, a, "")}, 100, "=fresh =stale"},
		{"refused early and silent since", []use{old(0, a, "x"), refusedAt(3600)}, 2 * 86400, "x=dead"},
		{"refused early and in use again", []use{old(0, a, "x"), refusedAt(30), old(60, a, "x")}, 100, "x=stale"},
		{"accepted beyond the profile", []use{with(old(0, a, "x"), func(u *use) { u.Stale = 100 * 86400 })}, 100, "x=stale"},
	}
	for _, tt := range tests {
		j := judge(t, satoken.JudgeOptions{Now: start.Add(time.Duration(tt.now) * time.Second)}, text(lines(tt.uses)...))
		var got []string
		for _, tok := range j.Tokens {
			s := tok.CredentialID + "=" + string(tok.Verdict)
			if tok.Partial {
				s += ",partial"
			}
			got = append(got, s)
		}
		sortStrings(got)
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, g, tt.want)
		}
	}
}

func sortStrings(s []string) {
	for i := range s {
		for k := i; k > 0 && s[k] < s[k-1]; k-- {
			s[k], s[k-1] = s[k-1], s[k]
		}
	}
}

func text(lines ...string) auditlog.Source {
	return auditlog.Reader("log", strings.NewReader(strings.Join(lines, "\n")+"\n"))
}

// TestRealLog holds the log of a real API server against what was done to it.
func TestRealLog(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	j := judge(t, satoken.JudgeOptions{Now: at}, auditlog.Path(filepath.Join("..", "examples", "audit-kube-apiserver-1.35.4.log.gz")))
	var truth []struct {
		Token, Account, Verdict, Agent, IP string
		Dies                               time.Time
		Requests                           int64
		Partial                            bool
	}
	data, err := os.ReadFile("testdata/truth.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &truth); err != nil {
		t.Fatal(err)
	}
	got := map[string]satoken.Token{}
	marked, requests := 0, int64(0)
	for _, tok := range j.Tokens {
		got[tok.CredentialID[:8]] = tok
		if tok.Verdict != satoken.Fresh {
			marked++
			requests += tok.Requests
		}
	}
	if marked != 7 || requests != 29 {
		t.Errorf("%d marked requests of %d tokens, want 29 of 7", requests, marked)
	}
	for _, want := range truth {
		tok, ok := got[want.Token]
		if !ok {
			t.Errorf("%s is missing", want.Token)
			continue
		}
		off := tok.DiesAt.Sub(want.Dies).Abs()
		if tok.ServiceAccount != want.Account || string(tok.Verdict) != want.Verdict || tok.Requests != want.Requests || tok.Partial != want.Partial || !want.Dies.IsZero() && off > 10*time.Second {
			t.Errorf("%s: %s %s, %d requests, partial %v, dies %v; want %+v", want.Token, tok.ServiceAccount, tok.Verdict, tok.Requests, tok.Partial, tok.DiesAt, want)
		}
		if !strings.HasPrefix(tok.Clients[0].UserAgent, want.Agent) || tok.Clients[0].SourceIP != want.IP {
			t.Errorf("%s: client %+v", want.Token, tok.Clients)
		}
	}
	if len(got) != len(truth) {
		t.Errorf("%d tokens, want %d", len(got), len(truth))
	}
	var rejected []string
	for _, r := range j.Rejected {
		rejected = append(rejected, fmt.Sprintf("%s %s %d %s", r.UserAgent, r.SourceIP, r.Requests, r.Likely))
	}
	if g := strings.Join(rejected, "; "); g != "Ruby/kubeclient 10.0.5.5 1 logging/fluentd; Go-http-client/1.1 10.0.6.6 3 apps/nightly-cron" {
		t.Errorf("rejected: %s", g)
	}
}

func TestDeath(t *testing.T) {
	day := 86400
	tests := []struct {
		name, profile string
		uses          []use
		want          string
	}{
		{"by the profile", "eks", []use{old(0, "a", "x")}, "profile 59d"},
		{"by another profile", "upstream", []use{old(0, "a", "x")}, "profile 334d"},
		{"by a given life", "45d", []use{old(0, "a", "x")}, "profile 14d"},
		{"by its use beyond the profile", "eks", []use{with(old(0, "a", "x"), func(u *use) { u.Stale = 100 * day })}, "use 264d"},
		{"beyond all that is known", "eks", []use{with(old(0, "a", "x"), func(u *use) { u.Stale = 500 * day })}, "use never"},
		{"by a refusal before", "eks", []use{old(0, "a", "x"), {At: 5 * day, Agent: "web/1", IP: "10.0.0.1", Refused: true}}, "refusal 5d"},
		{"a forecast", "aks", []use{old(0, "a", "x")}, "forecast -29d"},
	}
	for _, tt := range tests {
		p, err := satoken.ParseProfile(tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		tok := judge(t, satoken.JudgeOptions{Now: start, Profile: p}, text(lines(tt.uses)...)).Tokens[0]
		got := string(tok.DiesBy) + " never"
		if !tok.DiesAt.IsZero() {
			got = fmt.Sprintf("%s %dd", tok.DiesBy, int(tok.DiesAt.Sub(start).Hours()/24))
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestParseProfile(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"eks": 7776000 * time.Second, "EKS": 7776000 * time.Second, "upstream": 31536000 * time.Second, "gke": 31536000 * time.Second,
		"aks": 3607 * time.Second, "24h": 24 * time.Hour, "90d": 2160 * time.Hour, "1.5d": 36 * time.Hour, "2w": 336 * time.Hour, "7776000s": 2160 * time.Hour,
	} {
		p, err := satoken.ParseProfile(in)
		if err != nil || p.Extension != want {
			t.Errorf("ParseProfile(%q) = %v, %v", in, p.Extension, err)
		}
	}
	for _, in := range []string{"", "azure", "-1h", "0s", "90", "1e9d", "NaNd", "999999h"} {
		if p, err := satoken.ParseProfile(in); err == nil {
			t.Errorf("ParseProfile(%q) = %v, want an error", in, p)
		}
	}
}

func TestWorkloadOf(t *testing.T) {
	for pod, want := range map[string]string{
		"kube2iam-x7k2p": "DaemonSet kube2iam", "nightly-cron-28012340-zz9rt": "CronJob nightly-cron",
		"kubernetes-external-secrets-6d8f7c9b5-hx2lq": "Deployment kubernetes-external-secrets",
		"migrated-7c9d5b6f4-old11":                    "Deployment migrated", "prometheus-0": "StatefulSet prometheus", "db-shard-12": "StatefulSet db-shard",
		"istio-proxy": "Pod istio-proxy", "aws-controller-bcdfg": "DaemonSet aws-controller", "debug": "Pod debug", "": " web",
		"etcd-node1": "Pod etcd-node1", "report-28012340-3-zz9rt": "CronJob report",
	} {
		w := satoken.WorkloadOf("apps/web", pod, "node1")
		if got := w.Kind + " " + w.Name; got != want {
			t.Errorf("WorkloadOf(%q) = %q, want %q", pod, got, want)
		}
	}
}

func TestOffenders(t *testing.T) {
	tests := []struct{ account, agent, want string }{
		{"kube-system/kube2iam", "", "kube2iam 0.10.9"},
		{"kube-system/x", "kube2iam/v0.0.0 (linux/amd64) kubernetes/$Format", "kube2iam 0.10.9"},
		{"a/b", "kubernetes-external-secrets/8.5.5", "kubernetes-external-secrets "},
		{"a/b", "Ruby/kubeclient", "kubeclient (Ruby) 4.10.1"},
		{"a/b", "rest-client/2.1.0 (linux x86_64) ruby/2.7.6p219", "kubeclient (Ruby) 4.10.1"},
		{"a/b", "OpenAPI-Generator/11.0.0/python", "Kubernetes Python client 12.0.0"},
		{"a/b", "OpenAPI-Generator/12.0.0/python", ""},
		{"a/b", "OpenAPI-Generator/9.0.0/python", "Kubernetes Python client 12.0.0"},
		{"a/b", "Kubernetes Java Client/8.0.2", "Kubernetes Java client 9.0.0"},
		{"a/b", "Kubernetes Java Client/10.0.0", ""},
		{"a/b", "fabric8-kubernetes-client/5.12.2", "fabric8 Kubernetes client 5.12.4"},
		{"a/b", "Fluent-Bit", "fluent-bit 1.9.4"},
		{"logging/aws-for-fluent-bit", "", "fluent-bit 1.9.4"},
		{"a/kube2iam-proxy", "curl/8", ""},
		{"a/b", "python-requests/2.28.1", ""},
	}
	for _, tt := range tests {
		got := ""
		if o := satoken.FindOffender(tt.account, []satoken.Client{{UserAgent: "other"}, {UserAgent: tt.agent}}); o != nil {
			got = o.Name + " " + o.FixedIn
		}
		if got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.account, tt.agent, got, tt.want)
		}
	}
	for _, o := range satoken.Offenders() {
		if o.Name == "" || o.Why == "" || len(o.Sources) == 0 || o.FixedIn == "" && o.Instead == "" || o.UserAgent == "" && o.Account == "" {
			t.Errorf("not whole: %+v", o)
		}
	}
}

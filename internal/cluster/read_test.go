package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadPagesAndFollowsOwners(t *testing.T) {
	f := emptyCluster()
	f.lists["/apis/apps/v1/replicasets"] = []any{
		partial("a", "web-5d4f", "rs1", controller("Deployment", "apps/v1", "web", "d1")),
		partial("a", "lone-rs", "rs2", nil),
		partial("a", "canary-77", "rs3", controller("Rollout", "argoproj.io/v1alpha1", "canary", "ro1")),
	}
	f.lists["/apis/apps/v1/deployments"] = []any{
		partial("a", "web", "d1", controller("Website", "example.com/v1", "shop", "w1")),
	}
	f.lists["/apis/batch/v1/jobs"] = []any{
		partial("a", "nightly-1", "j1", controller("CronJob", "batch/v1", "nightly", "c1")),
		partial("a", "once", "j2", nil),
	}
	done := pod("a", "done", "default", "x:1", nil)
	done["status"] = obj{"phase": "Succeeded"}
	waiting := pod("b", "waiting", "default", "wait:1", nil)
	waiting["status"] = obj{"phase": "Pending"}
	sidecar := pod("b", "sidecar", "s", "main:1", nil)
	sidecar["spec"].(obj)["initContainers"] = []any{obj{"name": "side", "image": "side:1", "restartPolicy": "Always"}}
	sidecar["spec"].(obj)["volumes"] = []any{
		obj{"name": "aws-iam-token", "projected": obj{"sources": []any{obj{"serviceAccountToken": obj{"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 86400}}}}},
		obj{"name": "plain", "projected": obj{"sources": []any{obj{"serviceAccountToken": obj{"path": "t"}}, obj{"configMap": obj{"name": "x"}}}}},
	}
	sidecar["status"].(obj)["initContainerStatuses"] = []any{
		obj{"name": "side", "state": obj{"running": obj{"startedAt": "2026-08-09T00:00:00Z"}}},
	}
	f.lists["/api/v1/pods"] = []any{
		pod("b", "ds-1", "ds", "agent:2", controller("DaemonSet", "apps/v1", "agent", "ds1")),
		pod("a", "web-5d4f-xyz", "web", "web:1", controller("ReplicaSet", "apps/v1", "web-5d4f", "rs1")),
		pod("a", "lone-rs-1", "web", "web:1", controller("ReplicaSet", "apps/v1", "lone-rs", "rs2")),
		pod("a", "canary-77-1", "web", "web:1", controller("ReplicaSet", "apps/v1", "canary-77", "rs3")),
		pod("a", "nightly-1-x", "cron", "job:1", controller("Job", "batch/v1", "nightly-1", "j1")),
		pod("a", "once-x", "cron", "job:1", controller("Job", "batch/v1", "once", "j2")),
		pod("a", "bare", "default", "x:1", nil),
		done, waiting, sidecar,
	}
	s, err := f.client(t).Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != "v1.35.4" || s.Finished != 1 || len(s.Denied) != 0 {
		t.Errorf("version %s, %d finished, denied %v", s.Version, s.Finished, s.Denied)
	}
	var got []string
	for _, p := range s.Pods {
		got = append(got, fmt.Sprintf("%s/%s %s above %q", p.Namespace, p.Name, p.Owner, p.Above))
	}
	want := []string{
		`a/bare pod/bare above ""`,
		`a/canary-77-1 rollout/canary above ""`,
		`a/lone-rs-1 replicaset/lone-rs above ""`,
		`a/nightly-1-x cronjob/nightly above ""`,
		`a/once-x job/once above ""`,
		`a/web-5d4f-xyz deployment/web above "website/shop"`,
		`b/ds-1 daemonset/agent above ""`,
		`b/sidecar pod/sidecar above ""`,
		`b/waiting pod/waiting above ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	side := s.Pods[7]
	wantSide := Pod{
		Namespace: "b", Name: "sidecar", UID: "uid-sidecar", Node: "node-1", Account: "s",
		Created: at("2026-08-01T00:00:00Z"), Started: at("2026-08-01T00:00:05Z"),
		Containers: []Container{{"side", "side:1", at("2026-08-09T00:00:00Z")}, {"main", "main:1", at("2026-08-01T00:00:09Z")}},
		Tokens:     []TokenVolume{{"token", "sts.amazonaws.com", 24 * time.Hour}, {"t", "", time.Hour}},
		Owner:      Ref{"Pod", "v1", "b", "sidecar"},
	}
	if diff := cmp.Diff(wantSide, side); diff != "" {
		t.Errorf("sidecar (-want +got):\n%s", diff)
	}
	if got := s.Pods[0].Tokens; len(got) != 1 || !got[0].Extended() || got[0].Path != "/var/run/secrets/kubernetes.io/serviceaccount/token" {
		t.Errorf("tokens of a plain pod: %+v", got)
	}
	if diff := cmp.Diff(&Metrics{StaleTokens: 7, LegacyAuto: 2, Since: time.Unix(1795300000, 0).UTC()}, s.Metrics); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// TestReadWhereListingIsDenied: what may not be read is said, and the rest is read.
func TestReadWhereListingIsDenied(t *testing.T) {
	f := emptyCluster()
	f.lists["/api/v1/namespaces"] = []any{partial("", "open", "n1", nil), partial("", "shut", "n2", nil)}
	f.deny["/api/v1/pods"] = http.StatusForbidden
	f.deny["/api/v1/namespaces/shut/pods"] = http.StatusForbidden
	f.deny["/apis/apps/v1/replicasets"] = http.StatusForbidden
	f.deny["/apis/apps/v1/namespaces/open/replicasets"] = http.StatusForbidden
	f.deny["/apis/apps/v1/namespaces/shut/replicasets"] = http.StatusForbidden
	f.deny["/metrics"] = http.StatusForbidden
	delete(f.lists, "/apis/batch/v1/cronjobs")
	f.lists["/api/v1/namespaces/open/pods"] = []any{
		pod("open", "web-5d4f-xyz", "web", "web:1", obj{
			"labels":          obj{"pod-template-hash": "5d4f"},
			"ownerReferences": controller("ReplicaSet", "apps/v1", "web-5d4f", "rs1")["ownerReferences"],
		}),
	}
	s, err := f.client(t).Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Denied{
		{"replicasets", "open", "forbidden"},
		{"replicasets", "shut", "forbidden"},
		{"cronjobs", "", "the API server does not know the resource"},
		{"pods", "shut", "forbidden"},
		{"/metrics", "", "forbidden"},
	}
	if diff := cmp.Diff(want, s.Denied); diff != "" {
		t.Errorf("denied (-want +got):\n%s", diff)
	}
	if len(s.Pods) != 1 || s.Pods[0].Owner.String() != "deployment/web" {
		t.Errorf("pods: %+v", s.Pods)
	}
}

func TestReadFailsWhereNothingIsReadable(t *testing.T) {
	f := emptyCluster()
	f.deny["/api/v1/pods"] = http.StatusForbidden
	f.deny["/api/v1/namespaces"] = http.StatusForbidden
	if _, err := f.client(t).Read(t.Context(), nil); !errors.Is(err, ErrNothingReadable) && (err == nil || !strings.Contains(err.Error(), ErrNothingReadable.Error())) {
		t.Errorf("all denied: %v", err)
	}
	f = emptyCluster()
	f.deny["/api/v1/namespaces/x/pods"] = http.StatusForbidden
	if _, err := f.client(t).Read(t.Context(), []string{"x"}); !errors.Is(err, ErrNothingReadable) {
		t.Errorf("the one namespace denied: %v", err)
	}
	f = emptyCluster()
	f.deny["/version"] = http.StatusUnauthorized
	_, err := f.client(t).Read(t.Context(), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "the version of test: the API server refuses the credential (401)") {
		t.Errorf("401: %v", err)
	}
}

func TestPagesGoOnAfterAnExpiredToken(t *testing.T) {
	f := emptyCluster()
	for i := range 7 {
		f.lists["/api/v1/pods"] = append(f.lists["/api/v1/pods"], pod("a", fmt.Sprintf("p%d", i), "x", "x:1", nil))
	}
	f.expire = "at-4"
	s, err := f.client(t).Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pods) != 7 {
		t.Errorf("%d pods, want 7", len(s.Pods))
	}
}

func TestReadOnlyTheNamespacesNamed(t *testing.T) {
	f := emptyCluster()
	for _, k := range ownerKinds {
		f.lists["/apis/"+k.resource.Group+"/v1/namespaces/a/"+k.resource.Resource] = []any{}
	}
	for _, k := range []string{"secrets", "serviceaccounts"} {
		f.lists["/api/v1/namespaces/a/"+k] = []any{}
	}
	f.lists["/api/v1/namespaces/a/pods"] = []any{pod("a", "p", "x", "x:1", nil)}
	s, err := f.client(t).Read(t.Context(), []string{"a"})
	if err != nil || len(s.Pods) != 1 || len(s.Denied) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.Contains(r, "limit=") && !strings.Contains(r, "/namespaces/a/") {
			t.Errorf("asked outside the namespace: %s", r)
		}
	}
}

func TestOldestToken(t *testing.T) {
	created, started := at("2026-08-01T00:00:00Z"), at("2026-08-01T00:00:05Z")
	tests := []struct {
		title string
		pod   Pod
		want  time.Time
	}{
		{"first containers", Pod{Created: created, Started: started, Containers: []Container{{Started: started}}}, created},
		{"a restarted container read a file up to 80 % of its life old", Pod{Created: created, Started: started, Containers: []Container{{Started: at("2026-08-09T12:00:00Z")}}}, at("2026-08-09T11:09:54.4Z")},
		{"the oldest of two", Pod{Created: created, Started: started, Containers: []Container{{Started: at("2026-08-09T12:00:00Z")}, {Started: started}}}, created},
		{"between restarts", Pod{Created: created, Started: started}, created},
		{"not started", Pod{Created: created}, time.Time{}},
	}
	for _, tt := range tests {
		if got := tt.pod.OldestToken(DefaultLife); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.title, got, tt.want)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add("serviceaccount_stale_tokens_total 3\n")
	f.Add("serviceaccount_stale_tokens_total NaN\nprocess_start_time_seconds 1e300\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMetrics(strings.NewReader(text))
		if err == nil && m.StaleTokens < 0 {
			t.Errorf("%+v", m)
		}
	})
}

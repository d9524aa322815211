package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadSecrets(t *testing.T) {
	f := emptyCluster()
	f.lists["/api/v1/serviceaccounts"] = []any{
		obj{"metadata": meta("a", "robot", "sa1", obj{"annotations": obj{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/robot"}}), "secrets": []any{obj{"name": "robot-token-x"}, obj{"name": "robot-token-m"}}},
		obj{"metadata": meta("a", "again", "sa2", nil)},
	}
	secret := func(name, account, uid string, labels obj) any {
		return partial("a", name, "s-"+name, obj{"labels": labels, "annotations": obj{
			"kubernetes.io/service-account.name": account, "kubernetes.io/service-account.uid": uid}})
	}
	f.lists["/api/v1/secrets"] = []any{
		secret("robot-token-x", "robot", "sa1", obj{lastUsedLabel: "2026-01-05"}),
		secret("robot-token-m", "robot", "sa1", obj{lastUsedLabel: "nonsense", invalidSinceLabel: "2026-02-03"}),
		secret("by-hand", "robot", "sa1", nil),
		secret("recreated", "again", "another", nil),
		secret("gone", "nobody", "", nil),
	}
	mounts := pod("a", "p", "robot", "x:1", nil)
	mounts["spec"].(obj)["volumes"] = []any{obj{"name": "v", "secret": obj{"secretName": "robot-token-m"}}, obj{"name": "w", "secret": obj{"secretName": "unrelated"}}}
	f.lists["/api/v1/pods"] = []any{mounts}
	f.objects["/api/v1/namespaces/kube-system/configmaps/"+trackingConfigMap] = obj{"kind": "ConfigMap", "apiVersion": "v1", "data": obj{"since": "2025-03-04"}}
	s, err := f.client(t).Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	created := at("2026-08-01T00:00:00Z")
	want := []LegacyToken{
		{Namespace: "a", Name: "by-hand", Account: "robot", Created: created},
		{Namespace: "a", Name: "gone", Account: "nobody", AccountGone: true, Created: created},
		{Namespace: "a", Name: "recreated", Account: "again", AccountGone: true, Created: created},
		{Namespace: "a", Name: "robot-token-m", Account: "robot", Created: created, InvalidSince: at("2026-02-03T00:00:00Z"), Auto: true, Mounted: true},
		{Namespace: "a", Name: "robot-token-x", Account: "robot", Created: created, LastUsed: at("2026-01-05T00:00:00Z"), Auto: true},
	}
	if diff := cmp.Diff(want, s.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"robot-token-m"}, s.Pods[0].Secrets); diff != "" {
		t.Errorf("the pod's secrets (-want +got):\n%s", diff)
	}
	if !s.TrackedSince.Equal(at("2025-03-04T00:00:00Z")) {
		t.Errorf("tracked since %v", s.TrackedSince)
	}
	if got := s.Accounts["a/robot"].RoleARN; got != "arn:aws:iam::111122223333:role/robot" {
		t.Errorf("role %q", got)
	}
}

func TestFateOf(t *testing.T) {
	d := func(s string) time.Time { return day(s) }
	const year = CleanUpPeriod
	tracked := d("2024-01-01")
	auto := LegacyToken{Auto: true, Created: d("2023-06-01")}
	with := func(change func(*LegacyToken)) LegacyToken {
		s := auto
		change(&s)
		return s
	}
	tests := []struct {
		title   string
		s       LegacyToken
		tracked time.Time
		want    Fate
	}{
		{"never used since it is watched", auto, tracked, Fate{Invalid: d("2025-01-01"), Deleted: d("2026-01-02")}},
		{"used once", with(func(s *LegacyToken) { s.LastUsed = d("2026-03-01") }), tracked, Fate{Invalid: d("2027-03-02"), Deleted: d("2028-03-02")}},
		{"made late", with(func(s *LegacyToken) { s.Created = d("2025-06-01") }), tracked, Fate{Invalid: d("2026-06-01"), Deleted: d("2027-06-02")}},
		{"marked already", with(func(s *LegacyToken) { s.InvalidSince = d("2026-02-01") }), tracked, Fate{Invalid: d("2026-02-01"), Deleted: d("2027-02-02")}},
		{"marked, but tried again", with(func(s *LegacyToken) { s.InvalidSince, s.LastUsed = d("2026-02-01"), d("2026-10-01") }), tracked, Fate{Invalid: d("2026-02-01"), Deleted: d("2027-10-02")}},
		{"made by a person", LegacyToken{Created: d("2020-01-01")}, tracked, Fate{Why: "a person made it: Kubernetes leaves it alone"}},
		{"mounted", with(func(s *LegacyToken) { s.Mounted = true }), tracked, Fate{Why: "a pod uses it: Kubernetes leaves it alone"}},
		{"account gone", with(func(s *LegacyToken) { s.AccountGone = true }), tracked, Fate{Why: "its service account is gone, and the token with it"}},
		{"nothing is noted", auto, time.Time{}, Fate{Why: "the cluster does not note when tokens are used"}},
		{"accounts not readable", LegacyToken{Unknown: true}, tracked, Fate{Why: "whether Kubernetes made it is not known: service accounts could not be read"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, FateOf(tt.s, tt.tracked, year)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.title, diff)
		}
	}
}

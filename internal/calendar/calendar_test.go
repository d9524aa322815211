package calendar

import (
	"slices"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/satoken"
)

const day = 24 * time.Hour

var (
	now     = time.Date(2026, 11, 22, 4, 13, 0, 0, time.UTC)
	every   = cluster.TokenVolume{Path: "/var/run/secrets/kubernetes.io/serviceaccount/token", Life: cluster.DefaultLife}
	own     = cluster.TokenVolume{Path: "/own/token", Life: 10 * time.Minute}
	irsa    = cluster.TokenVolume{Path: "/aws/token", Audience: cluster.AudienceIRSA, Life: day}
	webApp  = cluster.Ref{Kind: "Deployment", APIVersion: "apps/v1", Namespace: "apps", Name: "web"}
	profile = profiles()
)

func profiles() map[string]satoken.Profile {
	m := map[string]satoken.Profile{}
	for _, p := range satoken.Profiles() {
		m[p.Name] = p
	}
	return m
}

// pod is one that is that old, of the workload web.
func pod(name string, age time.Duration, image string, tokens ...cluster.TokenVolume) cluster.Pod {
	at := now.Add(-age)
	return cluster.Pod{
		Namespace: "apps", Name: name, Account: "web", Created: at, Started: at, Owner: webApp, Tokens: tokens,
		Containers: []cluster.Container{{Name: "main", Image: image, Started: at}},
	}
}

func TestRefused(t *testing.T) {
	restarted := pod("r", 30*day, "web:1", every)
	restarted.Containers[0].Started = now.Add(-day)
	waiting := cluster.Pod{Namespace: "apps", Name: "w", Created: now, Owner: webApp, Tokens: []cluster.TokenVolume{every}}
	lag := 2885600*time.Millisecond + 2*time.Minute // of a restarted container: 80 % of the token's life, and a look
	tests := []struct {
		title    string
		profile  string
		pods     []cluster.Pod
		refused  time.Time
		last     time.Time
		outlived int
	}{
		{"one pod", "eks", []cluster.Pod{pod("a", day, "web:1", every)}, now.Add(89*day + time.Minute), now.Add(89*day + time.Minute), 0},
		{"the oldest and the youngest", "eks", []cluster.Pod{pod("a", day, "web:1", every), pod("b", 10*day, "web:1", every)}, now.Add(80*day + time.Minute), now.Add(89*day + time.Minute), 0},
		{"a container that was restarted has read a newer token", "eks", []cluster.Pod{restarted}, now.Add(89*day + time.Minute - lag), now.Add(89*day + time.Minute - lag), 0},
		{"older than a token can be", "eks", []cluster.Pod{pod("a", 100*day, "web:1", every)}, now.Add(-10*day + time.Minute), now.Add(-10*day + time.Minute), 1},
		{"a year upstream", "upstream", []cluster.Pod{pod("a", 100*day, "web:1", every)}, now.Add(265*day + time.Minute), now.Add(265*day + time.Minute), 0},
		{"not extended", "aks", []cluster.Pod{pod("a", 10*time.Minute, "web:1", every)}, now.Add(3607*time.Second - 9*time.Minute), now.Add(3607*time.Second - 9*time.Minute), 0},
		{"a token of its own does not count beside the usual one", "eks", []cluster.Pod{pod("a", day, "web:1", own, every)}, now.Add(89*day + time.Minute), now.Add(89*day + time.Minute), 0},
		{"only a token of its own", "eks", []cluster.Pod{pod("a", time.Minute, "web:1", own, irsa)}, now.Add(10 * time.Minute), now.Add(10 * time.Minute), 0},
		{"no token for the API server", "eks", []cluster.Pod{pod("a", day, "web:1", irsa)}, time.Time{}, time.Time{}, 0},
		{"not started", "eks", []cluster.Pod{waiting}, time.Time{}, time.Time{}, 0},
	}
	for _, tt := range tests {
		c := Of(cluster.Snapshot{Pods: tt.pods}, profile[tt.profile], now)
		if len(c.Workloads) != 1 {
			t.Fatalf("%s: %d workloads", tt.title, len(c.Workloads))
		}
		w := c.Workloads[0]
		if !w.Refused.Equal(tt.refused) || !w.Last.Equal(tt.last) || w.Outlived != tt.outlived || w.Pods != len(tt.pods) {
			t.Errorf("%s: refused %v, last %v, outlived %d, want %v, %v, %d", tt.title, w.Refused, w.Last, w.Outlived, tt.refused, tt.last, tt.outlived)
		}
	}
}

func TestOffender(t *testing.T) {
	tests := []struct {
		images []string
		want   string
		sure   bool
	}{
		{[]string{"web:1"}, "", false},
		{[]string{"web:1", "jtblin/kube2iam:latest"}, "jtblin/kube2iam:latest", false},
		{[]string{"jtblin/kube2iam:latest", "jtblin/kube2iam:0.10.7"}, "jtblin/kube2iam:0.10.7", true},
		{[]string{"jtblin/kube2iam:0.10.7", "jtblin/kube2iam:latest"}, "jtblin/kube2iam:0.10.7", true},
	}
	for _, tt := range tests {
		p := pod("a", day, tt.images[0], every)
		for _, i := range tt.images[1:] {
			p.Containers = append(p.Containers, cluster.Container{Image: i, Started: p.Started})
		}
		o := Of(cluster.Snapshot{Pods: []cluster.Pod{p}}, profile["eks"], now).Workloads[0].Offender
		switch {
		case o == nil && tt.want != "":
			t.Errorf("%v: none", tt.images)
		case o != nil && (o.Image != tt.want || o.Sure != tt.sure):
			t.Errorf("%v: %s, %v", tt.images, o.Image, o.Sure)
		}
	}
}

func TestUnwired(t *testing.T) {
	s := cluster.Snapshot{
		Pods:     []cluster.Pod{pod("with", day, "web:1", every, irsa), pod("without", day, "web:1", every)},
		Accounts: map[string]cluster.Account{"apps/web": {RoleARN: "arn:aws:iam::111122223333:role/web"}},
	}
	w := Of(s, profile["eks"], now).Workloads[0]
	if !slices.Equal(w.Unwired, []string{"without"}) || w.RoleARN != "arn:aws:iam::111122223333:role/web" {
		t.Errorf("%v, %s", w.Unwired, w.RoleARN)
	}
}

// TestOrder: known offenders by date, then what is to come by date, then what
// has none, then what is over.
func TestOrder(t *testing.T) {
	named := func(name string, p cluster.Pod) cluster.Pod { p.Owner.Name = name; return p }
	s := cluster.Snapshot{Pods: []cluster.Pod{
		named("over", pod("a", 100*day, "web:1", every)), named("none", pod("b", day, "web:1", irsa)),
		named("late", pod("c", day, "web:1", every)), named("soon", pod("d", 50*day, "web:1", every)),
		named("known", pod("e", 2*day, "jtblin/kube2iam:0.10.7", every)),
	}}
	var got []string
	for _, w := range Of(s, profile["eks"], now).Workloads {
		got = append(got, w.Owner.Name)
	}
	if want := []string{"known", "soon", "late", "none", "over"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSecretsKnowTheirPods(t *testing.T) {
	p := pod("a", day, "web:1")
	p.Secrets = []string{"token"}
	c := Of(cluster.Snapshot{Pods: []cluster.Pod{p}, Secrets: []cluster.LegacyToken{{Namespace: "apps", Name: "token", Mounted: true}, {Namespace: "other", Name: "token"}}}, profile["eks"], now)
	if len(c.Secrets) != 2 || !slices.Equal(c.Secrets[0].Pods, []string{"a"}) || c.Secrets[1].Pods != nil {
		t.Errorf("%+v", c.Secrets)
	}
}

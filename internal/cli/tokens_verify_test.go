package cli

import (
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/satoken"
)

func TestVerifyPods(t *testing.T) {
	made := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	eks, err := satoken.ParseProfile("eks")
	if err != nil {
		t.Fatal(err)
	}
	pods := []cluster.Pod{{Namespace: "apps", Name: "web-1", UID: "u1", Created: made}, {Namespace: "apps", Name: "web-2", UID: "u2", Created: made.Add(time.Minute)}}
	token := func(pod, uid string, v satoken.Verdict, dies time.Time) satoken.Token {
		return satoken.Token{ServiceAccount: "apps/web", Pod: pod, PodUID: uid, Verdict: v, DiesAt: dies}
	}
	fresh1, fresh2 := token("web-1", "u1", satoken.Fresh, time.Time{}), token("web-2", "u2", satoken.Fresh, time.Time{})
	dies := made.Add(24 * time.Hour)
	tests := []struct {
		title  string
		seen   []satoken.Token
		before []satoken.Token
		want   string
	}{
		{"nothing", nil, nil, "no request of its new pods was seen"},
		{"another pod of the name", []satoken.Token{token("web-1", "old", satoken.Fresh, time.Time{})}, nil, "no request of its new pods was seen"},
		{"both", []satoken.Token{fresh1, fresh2}, nil, "healed: a new token is in use; if its client never reads it again, it is refused from 2027-02-20 05:01 UTC on"},
		{"one", []satoken.Token{fresh2}, nil, "healed: a new token is in use in 1 of 2 pods; if its client never reads it again, it is refused from 2027-02-20 05:02 UTC on"},
		{"read again", []satoken.Token{fresh1, fresh1, fresh2}, nil, "healed: a new token is in use, and read again"},
		{"marked again", []satoken.Token{fresh1, token("web-2", "u2", satoken.Stale, dies)}, nil, "snoozed until 2026-11-23 05:00 UTC: its new token is stale again"},
		{"two clients, one reads again", []satoken.Token{client(fresh1, "a"), client(fresh1, "a"), client(fresh1, "b")}, nil, "healed: a new token is in use in 1 of 2 pods; if its client never reads it again, it is refused from 2027-02-20 05:01 UTC on"},
		{"the other one was stale", []satoken.Token{client(fresh1, "a"), client(fresh1, "a"), client(fresh1, "b")}, []satoken.Token{client(token("web-0", "u0", satoken.Stale, dies), "a")}, "healed: a new token is in use in 1 of 2 pods, and read again"},
	}
	for _, tt := range tests {
		if got := verifyPods(pods, satoken.Judgement{Profile: eks, Tokens: tt.seen}, tt.before).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.title, got, tt.want)
		}
	}
}

func client(t satoken.Token, agent string) satoken.Token {
	t.Clients = []satoken.Client{{UserAgent: agent}}
	return t
}

// TestJudgeByEarlier: what is said of a workload of which only a new token was
// seen rests on what its images did before, and on nothing where they changed.
func TestJudgeByEarlier(t *testing.T) {
	made := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	old := made.Add(-90 * 24 * time.Hour)
	pods := []cluster.Pod{{Namespace: "apps", Name: "web-1", UID: "u1", Created: made}}
	run := func(image, id string) []cluster.Process {
		return []cluster.Process{{Container: "main", Image: image, ID: id, Started: old}}
	}
	stale := satoken.Token{ServiceAccount: "apps/web", Pod: "web-0", PodUID: "u0", Verdict: satoken.Stale, IssuedAt: old, LastSeen: old.Add(89 * 24 * time.Hour)}
	known := stale
	known.Offender = &satoken.Offender{Name: "kube2iam"}
	fresh := satoken.Token{ServiceAccount: "apps/web", Pod: "web-0", PodUID: "u0", CredentialID: "1", Verdict: satoken.Fresh, FirstSeen: old, LastSeen: old.Add(time.Minute)}
	later, second := fresh, fresh
	later.LastSeen = old.Add(2 * time.Hour)
	second.CredentialID = "2"
	reloads := later
	reloads.Verdict = satoken.ReloadsWhenRefused
	const (
		until = "; if its client never reads it again, it is refused from 2027-02-20 05:00 UTC on"
		use   = "healed: a new token is in use" + until
		again = "healed: a new token is in use, and the same image was seen to read its token again before the restart"
	)
	tests := []struct {
		title  string
		tokens []satoken.Token
		before []cluster.Process
		now    []cluster.Process
		want   string
		basis  basis
	}{
		{"nothing is known", nil, nil, run("web:1", "web@sha256:a"), use, byUse},
		{"the same digest", []satoken.Token{stale}, run("web:1", "web@sha256:a"), run("web:1", "web@sha256:a"), "snoozed until 2027-02-20 05:00 UTC: the same image did not read its token again in 89 d", bySameImage},
		{"the same name, no digest", []satoken.Token{stale}, run("web:1", ""), run("web:1", "web@sha256:a"), "snoozed until 2027-02-20 05:00 UTC: the same image did not read its token again in 89 d", bySameImage},
		{"the same name, another digest", []satoken.Token{stale}, run("web:latest", "web@sha256:a"), run("web:latest", "web@sha256:b"), "healed: a new token is in use by another image than the one that never read it again" + until, byUse},
		{"known", []satoken.Token{known}, nil, nil, "snoozed until 2027-02-20 05:00 UTC: kube2iam is known never to read its token again", byKnowledge},
		{"known, and the same", []satoken.Token{known}, run("x:1", ""), run("x:1", ""), "snoozed until 2027-02-20 05:00 UTC: kube2iam is known never to read its token again, and the same image did not in 89 d", byKnowledge},
		{"known, and another", []satoken.Token{known}, run("jtblin/kube2iam:0.10.7", ""), run("jtblin/kube2iam:0.10.9", ""), "healed: a new token is in use by another image than the one that never read it again" + until, byUse},
		{"known, and another that is no better", []satoken.Token{known}, run("jtblin/kube2iam:0.10.7", ""), run("jtblin/kube2iam:0.10.8", ""), "snoozed until 2027-02-20 05:00 UTC: kube2iam is known never to read its token again", byKnowledge},
		{"a second token before", []satoken.Token{fresh, second}, run("web:1", ""), run("web:1", ""), again, bySameImage},
		{"a fresh token in an old pod", []satoken.Token{later}, run("web:1", ""), run("web:1", ""), again, bySameImage},
		{"a fresh token in a young pod", []satoken.Token{fresh}, run("web:1", ""), run("web:1", ""), use, byUse},
		{"it read again, and is another now", []satoken.Token{fresh, second}, run("web:1", ""), run("web:2", ""), use, byUse},
		{"it reads when refused only", []satoken.Token{reloads, later}, run("web:1", ""), run("web:1", ""), use, byUse},
		{"a stale one beside", []satoken.Token{fresh, second, stale}, run("web:1", ""), run("web:1", ""), "snoozed until 2027-02-20 05:00 UTC: the same image did not read its token again in 89 d", bySameImage},
	}
	for _, tt := range tests {
		e := earlier{tokens: tt.tokens, made: map[string]time.Time{"u0": old}}
		if tt.before != nil {
			e.runs = map[string][]cluster.Process{"u0": tt.before}
		}
		v := aftermath{Verdict: satoken.Healed, Basis: byUse, Pods: 1, All: 1, Until: made.Add(90 * 24 * time.Hour)}
		v.judgeByEarlier(e, map[string][]cluster.Process{"u1": tt.now}, pods)
		if got := v.String(); got != tt.want || v.Basis != tt.basis {
			t.Errorf("%s: %s (%s), want %s (%s)", tt.title, got, v.Basis, tt.want, tt.basis)
		}
	}
}

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
		{"known", []satoken.Token{fresh1, fresh2}, []satoken.Token{{Offender: &satoken.Offender{Name: "kube2iam"}}}, "snoozed until 2027-02-20 05:01 UTC: kube2iam is known never to read its token again"},
		{"known, but read again", []satoken.Token{fresh1, fresh1, fresh2}, []satoken.Token{{Offender: &satoken.Offender{Name: "kube2iam"}}}, "healed: a new token is in use, and read again"},
	}
	for _, tt := range tests {
		if got := verifyPods(pods, satoken.Judgement{Profile: eks, Tokens: tt.seen}, tt.before).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.title, got, tt.want)
		}
	}
}

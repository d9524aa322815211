//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// crowd are people who log in with new tokens and with the same ones again, and
// some who may not.
type crowd struct {
	people []*person
	serial int
}

type person struct {
	credentials ekstoken.Credentials
	username    string // "": nobody maps it
	token       *kept
}

// kept is a token that is used again and again.
type kept struct {
	request []byte
	made    time.Time
	// answered tells that the server has said who it is, which it then must
	// whatever becomes of STS.
	answered atomic.Bool
}

// question is a review with the only right answer to it.
type question struct {
	kind     string
	request  []byte
	username string // "": must not be let in
	alone    bool   // STS is not needed for the answer
	token    *kept
}

// crowdConfig are the mappings of the people; every second one has none.
func crowdConfig() string {
	text := "clusterID: demo\nserver:\n  mapRoles:\n"
	for i := 0; i < people; i += 2 {
		text += fmt.Sprintf("  - {roleARN: \"arn:aws:iam::%s:role/role-%d\", username: \"person-%d:{{SessionName}}\", groups: [crowd]}\n", awsfake.Account, i, i)
	}
	return text
}

const people = 40

func newCrowd(aws *awsfake.Server) *crowd {
	c := &crowd{}
	for i := range people {
		k := awsfake.Key{
			AccessKeyID: fmt.Sprintf("ASIASOAK%04d", i), SecretAccessKey: fmt.Sprint("secret", i), SessionToken: "session", Account: awsfake.Account,
			ARN: fmt.Sprintf("arn:aws:sts::%s:assumed-role/role-%d/session-%d", awsfake.Account, i, i), UserID: fmt.Sprintf("AROA%d:session-%d", i, i),
		}
		aws.AddKey(k)
		p := &person{credentials: ekstoken.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}}
		if i%2 == 0 {
			p.username = fmt.Sprintf("person-%d:session-%d", i, i)
		}
		c.people = append(c.people, p)
	}
	return c
}

func (c *crowd) sign(who ekstoken.Credentials, cluster string, age time.Duration) []byte {
	c.serial++
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	text, err := ekstoken.Sign(who, ekstoken.Request{ClusterID: cluster, Endpoint: e, Time: time.Now().Add(-age), Expires: c.serial%900 + 1})
	if err != nil {
		panic(err)
	}
	return request(text, "v1")
}

// ask hands out questions at the rate, until ctx ends.
func (c *crowd) ask(ctx context.Context, out chan<- question, t *tally, rate int) {
	defer close(out)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); sent < due; sent++ {
			select {
			case out <- c.question(sent):
			default:
				t.late.Add(1)
			}
		}
	}
}

// question makes the nth question: of twenty, five are about tokens that were
// just made, one is about each kind of token that nobody may log in with, and
// the rest about tokens that come again.
func (c *crowd) question(n int) question {
	p := c.people[n%people]
	age := time.Duration(n%120) * time.Second
	switch n / people % 20 {
	case 0, 1, 2, 3, 4:
		return question{kind: "new", request: c.sign(p.credentials, "demo", age), username: p.username}
	case 5:
		return question{kind: "another cluster's", request: c.sign(p.credentials, "other", age)}
	case 6:
		forged := p.credentials
		forged.SecretAccessKey = "x"
		return question{kind: "forged", request: c.sign(forged, "demo", age)}
	case 7:
		return question{kind: "old", request: c.sign(p.credentials, "demo", 16*time.Minute), alone: true}
	case 8:
		return question{kind: "malformed", request: request(fmt.Sprint(ekstoken.Prefix, n), "v1"), alone: true}
	}
	if p.token == nil || time.Since(p.token.made) > 3*time.Minute {
		p.token = &kept{request: c.sign(p.credentials, "demo", 0), made: time.Now()}
	}
	return question{kind: "kept", request: p.token.request, username: p.username, token: p.token, alone: p.token.answered.Load()}
}

// judge asks a question and counts the answer.
func (q question) judge(c *client, sky *weather, t *tally) {
	well, start := sky.well.Load(), time.Now()
	a, err := c.do(q.request)
	t.asked.Add(1)
	if err != nil {
		t.fault("%s: no answer after %v: %v", q.kind, time.Since(start), err)
		return
	}
	in := bytes.Contains(a.body, []byte(`"authenticated":true`))
	switch {
	case a.status == 429 || a.status == 503:
		switch {
		case in || !a.retryAfter:
			t.fault("%s: status %d without Retry-After, or with an identity: %s", q.kind, a.status, a.body)
		case q.alone:
			t.fault("%s: put off with %d, and nobody has to be asked: %s", q.kind, a.status, a.body)
		case well && sky.well.Load():
			t.fault("%s: put off with %d while STS is well: %s", q.kind, a.status, a.body)
		}
		t.later.Add(1)
	case a.status != 200:
		t.fault("%s: status %d: %s", q.kind, a.status, a.body)
	case in && q.username != "" && bytes.Contains(a.body, []byte(`"username":"`+q.username+`"`)):
		t.identified.Add(1)
	case !in && q.username == "" && !bytes.Contains(a.body, []byte("username")):
		t.refused.Add(1)
	default:
		t.fault("%s: want %q: %s", q.kind, q.username, a.body)
	}
	if q.token != nil && a.status == 200 {
		q.token.answered.Store(true)
	}
}

// Package calendar says of a live cluster, without any audit log, when each
// workload would be refused if a client in it never read its token again, and
// what will become of its token secrets.
//
// It is a worst case: most clients read the file again. A scan of the audit log
// tells which don't.
package calendar

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/satoken"
)

// Calendar is what a snapshot comes to.
type Calendar struct {
	At      time.Time
	Profile satoken.Profile
	// Workloads are ordered: what would be refused first is first, what has no
	// date is last.
	Workloads []Workload
	Secrets   []Secret
}

// Workload is a set of pods that a person would restart together.
type Workload struct {
	Owner, Above cluster.Ref
	Accounts     []string
	// Pods counts those that run or wait; Names are theirs.
	Pods  int
	Names []string
	// OldestPod is the pod whose token may be the oldest, OldestStart the start
	// of the process in it that may hold that token. Zero where none has started.
	OldestPod   string
	OldestStart time.Time
	// Token is the volume whose token counts: the one that every pod gets, or
	// else the shortest of Own. Its Life is 0 where the workload has no token for
	// the API server.
	Token cluster.TokenVolume
	// Own are tokens for the API server with lives of their own, which it does
	// not extend.
	Own []cluster.TokenVolume
	// Refused is when a client that never reads its token again is refused in
	// the oldest pod, in the worst case; zero where no pod has started or no
	// token is mounted. Last is the same for the youngest pod.
	Refused, Last time.Time
	// Outlived counts pods older than their token can be.
	Outlived int
	Images   []string
	Offender *Offender
	// Other are token volumes for other audiences than the API server's.
	Other []cluster.TokenVolume
	// Secrets are token secrets that the pods use.
	Secrets []string
	// Unwired: the account names an IAM role, and these pods have no token for
	// it, so the webhook was not there when they were made.
	Unwired []string
	RoleARN string
}

// Offender is an image that is known not to read its token again.
type Offender struct {
	satoken.ImageOffender
	Image string
	// Sure tells that the image's tag is a version below the one that mends it.
	Sure bool
}

// Secret is a token secret and its fate.
type Secret struct {
	cluster.LegacyToken
	Fate cluster.Fate
	// Pods use it.
	Pods []string
}

// Of computes the calendar. What is older than its token could be has either
// read it again or is refused already: a calendar can't tell which.
func Of(s cluster.Snapshot, p satoken.Profile, now time.Time) Calendar {
	c := Calendar{At: now, Profile: p}
	type key struct{ owner cluster.Ref }
	byOwner := map[key]*Workload{}
	var order []key
	used := map[string][]string{}
	for _, pod := range s.Pods {
		k := key{pod.Owner}
		w := byOwner[k]
		if w == nil {
			w = &Workload{Owner: pod.Owner, Above: pod.Above}
			byOwner[k] = w
			order = append(order, k)
		}
		w.add(pod, s.Accounts[pod.Namespace+"/"+pod.Account], p, now)
		for _, name := range pod.Secrets {
			id := pod.Namespace + "/" + name
			used[id] = append(used[id], pod.Name)
		}
	}
	for _, k := range order {
		c.Workloads = append(c.Workloads, *byOwner[k])
	}
	slices.SortFunc(c.Workloads, compare)
	for _, t := range s.Secrets {
		c.Secrets = append(c.Secrets, Secret{t, cluster.FateOf(t, s.TrackedSince, cluster.CleanUpPeriod), used[t.Namespace+"/"+t.Name]})
	}
	return c
}

// compare orders workloads: those to be refused next, then those without a
// date, then those whose date is over.
func compare(a, b Workload) int {
	rank := func(w Workload) int {
		switch {
		case w.Offender != nil && w.Offender.Sure:
			return 0
		case w.Refused.IsZero():
			return 2
		case w.Outlived > 0:
			return 3
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Refused.Compare(b.Refused),
		cmp.Compare(a.Owner.Namespace, b.Owner.Namespace), cmp.Compare(a.Owner.Kind, b.Owner.Kind), cmp.Compare(a.Owner.Name, b.Owner.Name))
}

func (w *Workload) add(pod cluster.Pod, account cluster.Account, p satoken.Profile, now time.Time) {
	w.Pods++
	w.Names = append(w.Names, pod.Name)
	insert(&w.Accounts, pod.Account)
	for _, c := range pod.Containers {
		insert(&w.Images, c.Image)
		w.offends(c.Image)
	}
	for _, n := range pod.Secrets {
		insert(&w.Secrets, n)
	}
	identity := false
	for _, v := range pod.Tokens {
		if v.Audience != "" {
			insert(&w.Other, v)
			identity = identity || v.Audience == cluster.AudienceIRSA
			continue
		}
		if !v.Extended() {
			insert(&w.Own, v)
		}
	}
	if account.RoleARN != "" && !identity {
		w.RoleARN = account.RoleARN
		w.Unwired = append(w.Unwired, pod.Name)
	}
	v, ok := tokenOf(pod.Tokens)
	if !ok {
		return
	}
	if w.Token.Life == 0 || life(v, p) < life(w.Token, p) {
		w.Token = v
	}
	issued := pod.OldestToken(v.Life)
	if issued.IsZero() {
		return
	}
	refused := issued.Add(life(v, p))
	if !refused.After(now) {
		w.Outlived++
	}
	if w.Refused.IsZero() || refused.Before(w.Refused) {
		w.Refused, w.OldestPod, w.OldestStart = refused, pod.Name, start(pod)
	}
	if refused.After(w.Last) {
		w.Last = refused
	}
}

// start is when the oldest process of a pod began.
func start(pod cluster.Pod) time.Time {
	oldest := pod.Started
	for i, c := range pod.Containers {
		if i == 0 || c.Started.Before(oldest) {
			oldest = c.Started
		}
	}
	return oldest
}

// life is how long a token of the volume is accepted, from its issue on.
func life(v cluster.TokenVolume, p satoken.Profile) time.Duration {
	if v.Extended() && p.Extended() {
		return p.Life()
	}
	return v.Life + satoken.Leeway
}

// tokenOf picks of a pod's tokens the one that its clients find by default; of
// tokens with lives of their own, where there are only such, the shortest.
func tokenOf(volumes []cluster.TokenVolume) (cluster.TokenVolume, bool) {
	var found cluster.TokenVolume
	for _, v := range volumes {
		switch {
		case v.Audience != "":
		case v.Extended():
			return v, true
		case found.Life == 0 || v.Life < found.Life:
			found = v
		}
	}
	return found, found.Life > 0
}

// offends keeps the worst that is known of the workload's images.
func (w *Workload) offends(image string) {
	known, sure := satoken.FindImageOffender(image)
	if known == nil || w.Offender != nil && (w.Offender.Sure || !sure) {
		return
	}
	w.Offender = &Offender{*known, image, sure}
}

func insert[T comparable](list *[]T, value T) {
	var zero T
	if value != zero && !slices.Contains(*list, value) {
		*list = append(*list, value)
	}
}

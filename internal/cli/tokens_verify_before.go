package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/internal/restart"
	"github.com/kubecred/kubecred/satoken"
)

// earlier is what is known of a workload from before its restart. A restart
// changes no program: where the images are the same afterwards, what its pods
// did with their tokens they will do again.
type earlier struct {
	// tokens are those that the log shows of its pods.
	tokens []satoken.Token
	// runs is what ran in its pods, by uid, and made when each pod was made.
	runs map[string][]cluster.Process
	made map[string]time.Time
}

// rememberAll notes what --verify will compare with. What cannot be had is left
// out: the restart does not depend on it. The scan behind the plan shows all of
// the workloads that it found; for those that were named the log is read as well.
func (r *restartRun) rememberAll(ctx context.Context, a *app, named bool) {
	r.before = map[cluster.Ref]earlier{}
	for ref, tokens := range r.tokens {
		r.before[ref] = earlier{tokens: tokens}
	}
	log := r.log
	if named {
		if s, err := a.scanTokens(ctx, r.sources, tokenOptions{profile: r.o.profile, now: r.o.now, since: r.o.since, all: true, quiet: true}); err == nil {
			log = s.judged.Tokens
		}
	}
	for _, s := range r.steps {
		if s.Action != restart.Restart {
			continue // of a rollout that is under way some pods are new already
		}
		pods, err := r.client.PodsOf(ctx, s.Rollout)
		if err != nil {
			continue
		}
		e := earlier{tokens: r.tokens[s.Ref], made: map[string]time.Time{}}
		for _, p := range pods {
			e.made[p.UID] = p.Created
			for _, t := range tokensOf(p, log) {
				if !slices.ContainsFunc(e.tokens, func(o satoken.Token) bool { return o.Pod == t.Pod && o.CredentialID == t.CredentialID }) {
					e.tokens = append(slices.Clip(e.tokens), t)
				}
			}
		}
		if e.runs, err = r.client.ProcessesOf(ctx, s.Rollout); err != nil {
			e.runs = nil
		}
		r.before[s.Ref] = e
	}
}

// tokensOf returns the tokens that a log shows of a pod.
func tokensOf(p cluster.Pod, tokens []satoken.Token) []satoken.Token {
	var out []satoken.Token
	for _, t := range tokens {
		if ns, _, _ := strings.Cut(t.ServiceAccount, "/"); ns == p.Namespace && t.Pod == p.Name && (t.PodUID == "" || t.PodUID == p.UID) {
			out = append(out, t)
		}
	}
	return out
}

// kept is for how long a client was seen to go on with one token beyond the
// hour in which it should have read another, 0 for never.
func (e earlier) kept() time.Duration {
	longest := time.Duration(0)
	for _, t := range e.tokens {
		if t.Verdict == satoken.Stale || t.Verdict == satoken.Dead {
			longest = max(longest, t.LastSeen.Sub(t.IssuedAt))
		}
	}
	return longest
}

// reread tells whether the log shows that a pod read its token again: a second
// one of the same client, or a fresh one in a pod whose first cannot be fresh
// any more. A token that went stale beside it speaks against it.
func (e earlier) reread() bool {
	if e.kept() > 0 || slices.ContainsFunc(e.tokens, func(t satoken.Token) bool { return t.Verdict == satoken.ReloadsWhenRefused }) {
		return false
	}
	if readsAgain(e.tokens, nil) {
		return true
	}
	return slices.ContainsFunc(e.tokens, func(t satoken.Token) bool {
		began, known := e.began(t.PodUID)
		return known && t.Verdict == satoken.Fresh && t.LastSeen.Sub(began) > satoken.WarnAfter+2*satoken.CacheLag
	})
}

// began is when the last of a pod's processes began.
func (e earlier) began(uid string) (time.Time, bool) {
	at, ok := e.made[uid]
	for _, p := range e.runs[uid] {
		if p.Started.After(at) {
			at = p.Started
		}
	}
	return at, ok && len(e.runs[uid]) > 0
}

// sameImages tells whether what runs now ran before in some pod of the workload.
// known is false where that cannot be told.
func (e earlier) sameImages(now map[string][]cluster.Process, pods []cluster.Pod) (same, known bool) {
	for _, p := range pods {
		after, ok := now[p.UID]
		if !ok || len(after) == 0 {
			continue
		}
		known = true
		some := false
		for uid, before := range e.runs {
			if uid != p.UID && cluster.SameProgram(before, after) {
				some = true
			}
		}
		if !some {
			return false, len(e.runs) > 0
		}
	}
	return known, known && len(e.runs) > 0
}

// readsAgain tells whether every client in question was seen with a second
// token. In question are those that kept a token before the restart, where they
// are seen again, else all. Of pods with several programs each is told by its
// user agent.
func readsAgain(seen, before []satoken.Token) bool {
	tokens := map[string]int{}
	for _, t := range seen {
		agents := map[string]bool{}
		for _, c := range t.Clients {
			agents[c.UserAgent] = true
		}
		if len(t.Clients) == 0 {
			agents[""] = true
		}
		for a := range agents {
			tokens[t.Pod+"\x00"+t.PodUID+"\x00"+a]++
		}
	}
	suspect := map[string]bool{}
	for _, t := range before {
		if t.Verdict == satoken.Stale || t.Verdict == satoken.Dead {
			for _, c := range t.Clients {
				suspect[c.UserAgent] = true
			}
		}
	}
	all, some, someAll := true, false, true
	for key, n := range tokens {
		if suspect[key[strings.LastIndexByte(key, 0)+1:]] {
			some = true
			someAll = someAll && n > 1
		}
		all = all && n > 1
	}
	if some {
		return someAll
	}
	return all && len(tokens) > 0
}

// judgeByEarlier decides about a workload whose new tokens are in use and which
// nobody has seen to read a second one yet.
func (v *aftermath) judgeByEarlier(e earlier, now map[string][]cluster.Process, pods []cluster.Pod) {
	same, known := e.sameImages(now, pods)
	kept := e.kept()
	var offender *satoken.Offender
	if known && !same {
		// What was known of the old image says nothing of the new one.
		for _, run := range now {
			for _, p := range run {
				if o, sure := satoken.FindImageOffender(cmp.Or(p.Image, p.ID)); o != nil && sure {
					offender = &o.Offender
				}
			}
		}
	} else {
		for _, t := range e.tokens {
			offender = cmp.Or(offender, t.Offender)
		}
	}
	switch {
	case offender != nil:
		v.Verdict, v.Basis = satoken.Snoozed, byKnowledge
		v.Note = offender.Name + " is known never to read its token again"
		if same && kept > 0 {
			v.Note += ", and the same image did not in " + finding.Span(kept)
		}
	case same && kept > 0:
		v.Verdict, v.Basis = satoken.Snoozed, bySameImage
		v.Note = "the same image did not read its token again in " + finding.Span(kept)
	case same && e.reread():
		v.Basis = bySameImage
		v.Note = "and the same image was seen to read its token again before the restart"
	case known && !same && kept > 0:
		v.Note = "by another image than the one that never read it again"
	}
}

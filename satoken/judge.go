package satoken

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Judge says what became of each token. Add must not run at the same time.
func (t *Tally) Judge(o JudgeOptions) Judgement {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := Judgement{At: o.Now, Profile: o.Profile, Before: t.early, After: t.late, DroppedClients: t.dropped}
	t.settle()
	// An event of a wrong clock does not make the log longer than it can be.
	end := t.newest
	if now := o.Now.UnixNano(); now < end && now > t.oldest {
		end = now
	}
	gone := t.gone()
	accounts := map[string][]*token{}
	for tok := range t.all() {
		accounts[tok.account] = append(accounts[tok.account], tok)
		j.Seen++
	}
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		toks := accounts[name]
		slices.SortFunc(toks, compareTokens)
		a := t.account(toks, gone[name], o)
		a.end = end
		if !o.All && len(a.marked) == 0 {
			continue
		}
		for _, tok := range toks {
			j.Tokens = append(j.Tokens, a.judge(tok))
		}
	}
	j.Forgotten = t.left
	j.Seen += int(t.left)
	j.Rejected = t.rejected(accounts, o.Profile)
	return j
}

func compareTokens(a, b *token) int {
	return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.podUID, b.podUID), cmp.Compare(a.issued, b.issued),
		cmp.Compare(a.first, b.first), cmp.Compare(a.id, b.id))
}

// account is the tokens of one account while they are judged.
type account struct {
	t             *Tally
	o             JudgeOptions
	marked, fresh []*token
	byPod         map[string][]*token // fresh ones
	end           int64               // of the log
}

func (t *Tally) account(toks, gone []*token, o JudgeOptions) *account {
	a := &account{t: t, o: o, byPod: map[string][]*token{}}
	for _, tok := range toks {
		if tok.issued != 0 {
			a.marked = append(a.marked, tok)
			continue
		}
		a.fresh = append(a.fresh, tok)
		a.byPod[tok.podKey()] = append(a.byPod[tok.podKey()], tok)
	}
	a.fresh = append(a.fresh, gone...)
	return a
}

// kin tells whether two tokens of an account's name may be of one account. Another
// cluster has an account of the same name and pods of the same names, and so has the
// cluster itself where the account was deleted and made again.
func (tok *token) kin(f *token) bool { return tok.owner == f.owner || tok.owner == 0 || f.owner == 0 }

// podKey tells pods apart: by uid where there is one, else by name.
func (tok *token) podKey() string {
	if tok.podUID != "" {
		return tok.podUID
	}
	return "/" + tok.pod
}

func (a *account) judge(tok *token) Token {
	out := Token{
		ServiceAccount: tok.account, Workload: WorkloadOf(tok.account, tok.pod, tok.node),
		Pod: tok.pod, PodUID: tok.podUID, Node: tok.node, CredentialID: tok.id,
		FirstSeen: when(tok.first), LastSeen: when(tok.last), Verdict: Fresh,
		Clients: slices.Clone(tok.clients),
	}
	var exact bool
	out.Requests, exact = tok.ids.count()
	out.Estimated = !exact
	issued, known := a.t.issuedTo(&out, tok)
	if tok.issued == 0 {
		if known {
			out.IssuedAt = issued
		}
		return out
	}
	out.Offender = FindOffender(tok.account, out.Clients)
	out.IssuedAt = time.Unix(tok.issued, 0).UTC()
	if known && out.IssuedAt.Sub(issued).Abs() <= time.Minute { // else one of the clocks is wrong
		out.IssuedAt = issued
	}
	refusedAt, refused := a.t.refusedAfter(tok)
	if refused {
		out.RefusedAt = when(refusedAt)
	}
	a.death(&out, tok)
	a.fate(&out, tok, refusedAt, refused)
	return out
}

func when(nano int64) time.Time { return time.Unix(0, nano).UTC() }

// death finds DiesAt: by the profile, unless the log says otherwise.
func (a *account) death(out *Token, tok *token) {
	p := a.o.Profile
	out.DiesAt, out.DiesBy = out.IssuedAt.Add(p.Life()), ByProfile
	if !p.Extended() {
		out.DiesBy = ByForecast
		return
	}
	// A use well after its death refutes the profile: the next longer extension
	// that is known holds. One that is yet to come refutes a clock.
	if out.LastSeen.After(out.DiesAt.Add(2*CacheLag)) && !out.LastSeen.After(a.o.Now.Add(2*CacheLag)) {
		out.DiesBy = ByUse
		for _, longer := range []time.Duration{90 * day, year} {
			out.DiesAt = out.IssuedAt.Add(longer + Leeway)
			if !out.LastSeen.After(out.DiesAt.Add(2 * CacheLag)) {
				return
			}
		}
		out.DiesAt = time.Time{}
		return
	}
	// A refusal well before it, with no use since, says that it died already: a
	// shorter extension, or the pod or the account is gone.
	if !out.RefusedAt.IsZero() && out.RefusedAt.Add(2*CacheLag).Before(out.DiesAt) {
		out.DiesAt, out.DiesBy = out.RefusedAt.Truncate(time.Second), ByRefusal
	}
}

// fate finds the verdict of a marked token.
func (a *account) fate(out *Token, tok *token, refusedAt int64, refused bool) {
	beside := false // a fresh token of the pod is used side by side
	var after []*token
	for _, f := range a.byPod[tok.podKey()] {
		if !tok.kin(f) {
			continue
		}
		first := f.first
		if f.id == "" && tok.id == "" {
			// Without ids the fresh requests of a token's own first hour look like
			// another token's.
			if first = max(first, (tok.issued+int64((WarnAfter+CacheLag)/time.Second))*int64(time.Second)); f.last < first {
				continue
			}
		}
		switch {
		case f.last < tok.first:
		case first <= tok.last:
			beside = true
			if f.last > tok.last {
				after = append(after, f)
			}
		default:
			after = append(after, f)
		}
	}
	var heir *token
	for _, f := range after {
		if refused && f.first >= refusedAt && (!beside || sharesAgent(tok, f)) {
			heir = f
			out.Verdict = ReloadsWhenRefused
			out.Successor = f.id
			return
		}
		// The containers of a pod are told apart by their user agent: one that
		// begins now is no proof that another has stopped.
		if heir == nil && f.first > tok.last && sharesAgent(tok, f) && (!beside || a.silent(tok)) {
			heir = f
		}
		if !sharesAgent(tok, f) {
			beside = true
		}
	}
	if heir != nil {
		out.Verdict, out.Successor = Healed, heir.id
		return
	}
	if refused {
		if f := a.reloaded(tok, refusedAt); f != nil {
			out.Verdict, out.Successor = ReloadsWhenRefused, f.id
			return
		}
	}
	if a.replaced(out, tok) {
		return
	}
	out.Verdict = Stale
	if !out.DiesAt.IsZero() && out.DiesBy != ByForecast && !a.o.Now.Before(out.DiesAt) {
		out.Verdict = Dead
	}
	if out.Verdict == Stale && a.reloads(out, tok) {
		return
	}
	out.Partial = beside && out.Verdict == Stale
}

// reloaded returns the later token of the same pod that a client took once it
// was refused: it is marked by now, because the client keeps that one as well.
func (a *account) reloaded(tok *token, refusedAt int64) *token {
	for _, f := range a.marked {
		if f.podKey() == tok.podKey() && tok.kin(f) && f.issued > tok.issued && f.first >= refusedAt && sharesAgent(tok, f) {
			return f
		}
	}
	return nil
}

// reloads tells whether a token was taken after an earlier one of the same pod
// was refused: its client will do so again.
func (a *account) reloads(out *Token, tok *token) bool {
	for _, f := range a.marked {
		if f.podKey() != tok.podKey() || !tok.kin(f) || f.issued >= tok.issued || !sharesAgent(tok, f) {
			continue
		}
		if at, refused := a.t.refusedAfter(f); refused && tok.first >= at {
			out.Verdict, out.RefusedAt = ReloadsWhenRefused, when(at)
			return true
		}
	}
	return false
}

// replaced tells whether a later pod of the same workload took the token's
// place, with a fresh token or with one that is marked again.
func (a *account) replaced(out *Token, tok *token) bool {
	other := func(f *token) bool { return f.podKey() != tok.podKey() && tok.kin(f) && SameWorkload(tok.pod, f.pod) }
	for _, f := range a.fresh {
		switch {
		case !other(f) || f.last <= tok.last:
		// Old and new pods overlap while a rollout runs; a replica of its own does
		// so for good. Only a long silence tells them apart.
		case f.first > tok.last && a.overdue(tok), f.first > tok.first && a.silent(tok):
			out.Verdict, out.Successor = Healed, cmp.Or(f.id, f.pod)
			return true
		}
	}
	for _, f := range a.marked {
		// A marked token tells when it was issued: one as old as the other is a
		// replica's, not a successor's.
		if other(f) && f.last > tok.last && f.issued > tok.last/int64(time.Second)-overlap && (f.first > tok.last || a.silent(tok)) {
			out.Verdict, out.Successor = Snoozed, cmp.Or(f.id, f.pod)
			out.SuccessorDiesAt = time.Unix(f.issued, 0).UTC().Add(a.o.Profile.Life())
			return true
		}
	}
	return false
}

// overlap is how many seconds a pod may go on after the one that replaces it
// has begun.
const overlap = 600

// usual is the time from one request of a token to the next.
func (a *account) usual(tok *token) int64 {
	if n, _ := tok.ids.count(); n > 1 {
		return (tok.last - tok.first) / (n - 1)
	}
	return min(tok.last-a.t.oldest, int64(time.Minute))
}

// overdue tells whether a token was not used when its next use was due.
func (a *account) overdue(tok *token) bool {
	return a.end-tok.last > a.usual(tok)+a.usual(tok)/2
}

// silent tells whether a token was not used for much longer than it used to be.
func (a *account) silent(tok *token) bool {
	return a.end-tok.last > max(int64(10*time.Minute), 3*a.usual(tok))
}

// sharesAgent tells whether a client of both tokens names itself the same.
func sharesAgent(a, b *token) bool {
	if len(a.clients) == 0 || len(b.clients) == 0 {
		return true
	}
	for _, c := range a.clients {
		for _, d := range b.clients {
			if c.UserAgent == d.UserAgent {
				return true
			}
		}
	}
	return false
}

// refusedAfter returns the first 401 of one of the token's clients since its
// last use.
func (t *Tally) refusedAfter(tok *token) (int64, bool) {
	best, ok := int64(0), false
	for _, c := range tok.clients {
		r, known := t.refused[c.SourceIP+"\x00"+c.UserAgent]
		if !known {
			continue
		}
		if at, some := r.times.after(tok.last); some && (!ok || at < best) {
			best, ok = at, true
		}
	}
	return best, ok
}

// rejected joins the 401s to the accounts whose marked tokens their clients
// used. Of several the one whose death is nearest to the first 401 is likely.
func (t *Tally) rejected(accounts map[string][]*token, p Profile) []Rejected {
	type user struct {
		account string
		dies    int64
		last    int64
	}
	users := map[Client][]user{}
	for _, toks := range accounts {
		for _, tok := range toks {
			if tok.issued == 0 {
				continue
			}
			for _, c := range tok.clients {
				users[c] = append(users[c], user{tok.account, (tok.issued + int64(p.Life()/time.Second)) * int64(time.Second), tok.last})
			}
		}
	}
	var out []Rejected
	for _, r := range t.sortedRefused() {
		n, _ := r.ids.count()
		x := Rejected{Client: r.client, Requests: n, FirstSeen: when(r.first), LastSeen: when(r.last)}
		if of := users[r.client]; len(of) > 0 {
			x.Likely = slices.MinFunc(of, func(a, b user) int {
				used := func(u user) int { // still in use after the last 401: less likely
					if u.last > r.last {
						return 1
					}
					return 0
				}
				return cmp.Or(cmp.Compare(used(a), used(b)), cmp.Compare(abs(a.dies-r.first), abs(b.dies-r.first)),
					cmp.Compare(a.account, b.account))
			}).account
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Rejected) int { return a.FirstSeen.Compare(b.FirstSeen) })
	return out
}

func abs(n int64) int64 { return max(n, -n) }

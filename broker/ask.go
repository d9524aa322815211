package broker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The names of the roads, which begin the names of their files.
const (
	clientName = "client"
	imageName  = "image"
)

// road is what differs between the two protocols.
type road interface {
	name() string
	// asked is the version that the client wants, such as "v1".
	asked() string
	// interactive tells whether the issuer may ask the person.
	interactive() bool
	// refusable tells whether a second question of the same process means that
	// the first answer was refused.
	refusable() bool
	// request returns how an issuer is asked in a version.
	request(version string) (environ []string, stdin []byte)
	// read makes a credential of what an issuer printed.
	read(stdout []byte, now time.Time) (credential, error)
	// answer writes a kept credential as the client wants it.
	answer(e entry, now time.Time) []byte
	// keys are the names under which the answer may lie, the narrowest first, made
	// from the one that says who asks.
	keys(base string) []string
	// attempts is how often an issuer that fails is run, within its time.
	attempts() int
}

// credential is what an issuer gave, in the form in which it is kept.
type credential struct {
	payload []byte
	expires time.Time // zero where nobody knows
	// keep is false for an answer that is not to be given a second time.
	keep bool
	// until and renew bound its use.
	until, renew time.Time
	speaks       string // the version it was written in
	// scope is the index in keys of the name to keep it under.
	scope int
	about string // for people, what it is for
}

// Ask is one question.
type Ask struct {
	b      *Broker
	road   road
	issuer string // as it was given
	path   string // as it was found
	args   []string

	began   time.Time
	store   *store
	keys    []string
	key     string  // whose lock is taken
	self    process // who asks
	served  *servedList
	suspect uint64 // the credential that seems to have been refused
	stale   error  // why an old credential was given
	said    []byte // what an issuer said beside its answer
}

// newAsk finds the issuer and the place in the cache.
func (b *Broker) newAsk(r road, issuer string, args, about []string) (*Ask, error) {
	a := &Ask{b: b, road: r, issuer: issuer, args: args, began: b.Now()}
	var err error
	if a.path, err = b.find(issuer); err != nil {
		return nil, err
	}
	if a.store, err = openStore(b.Dir, true); err != nil {
		b.cacheTrouble("works without its cache: ", err)
	}
	if a.store != nil {
		a.keys = r.keys(b.key(r.name(), a.path, args, about...))
		a.key = a.lockKey()
	}
	return a, nil
}

// Cached returns the answer where the cache holds one that may be given.
func (a *Ask) Cached() ([]byte, bool) {
	defer func() { a.served.close(); a.served = nil }()
	e, ok := a.lookup()
	if !ok || !a.b.Now().Before(e.renew) {
		return nil, false
	}
	return a.give(e), true
}

// lookup returns the entry where it may be handed out to the one who asks.
func (a *Ask) lookup() (entry, bool) {
	if a.store == nil {
		return entry{}, false
	}
	for _, key := range a.keys {
		e, ok := a.b.entry(a.store, key)
		if !ok || !e.usable(a.b.Now()) || a.suspect != 0 && e.id == a.suspect && e.created.Before(a.began) {
			continue
		}
		if a.refused(e) {
			a.suspect = e.id
			continue
		}
		return e, true
	}
	return entry{}, false
}

// Limits of the noticing of refusals.
const (
	// refusalRate is the least time between two runs of an issuer for a refusal;
	// it doubles with each run, refusalDoublings times.
	refusalRate      = 30 * time.Second
	refusalDoublings = 5
	// crowdTime is how long after overlapping questions a process counts as one
	// that asks several at once.
	crowdTime = time.Second
)

// refused tells whether the one who asks was given this very credential before,
// and so was refused with it.
func (a *Ask) refused(e entry) bool {
	if !a.b.Refusals || !a.road.refusable() {
		return false
	}
	if a.served == nil {
		a.served = a.store.openServed(a.key)
		a.self = a.b.parent()
	}
	if a.self.pid <= 0 {
		return false
	}
	s, ok := a.served.find(a.self)
	switch {
	case !ok || s.id != e.id:
		return false
	case !s.at.Before(a.began):
		return false // given to a sister of this question while it was on its way
	case a.began.Sub(s.crowd) < crowdTime:
		return false
	}
	if e.refusals == 0 || e.refused.IsZero() {
		return true
	}
	pauseFor := refusalRate << min(e.refusals-1, refusalDoublings)
	return a.began.Sub(e.refused) >= pauseFor
}

// give writes the answer, and remembers who got it.
func (a *Ask) give(e entry) []byte {
	now := a.b.Now()
	a.remember(e.id, now)
	return a.road.answer(e, now)
}

// remember notes that the one who asks was given a credential, or, where id is
// 0, that it waits for one. A process whose questions overlap is marked as one
// that asks several times at once.
func (a *Ask) remember(id uint64, now time.Time) {
	if a.store == nil || !a.b.Refusals || !a.road.refusable() {
		return
	}
	if a.served == nil {
		a.served = a.store.openServed(a.key)
		a.self = a.b.parent()
	}
	if a.self.pid <= 0 {
		return
	}
	note := serving{who: a.self, id: id, at: now}
	s, ok := a.served.find(a.self)
	if id == 0 || ok && (!s.at.Before(a.began) || a.began.Sub(s.crowd) < crowdTime) {
		note.crowd = now
	}
	a.served.note(note)
}

// Issue returns an answer that takes its time: it runs the issuer, or waits for
// a process that does.
func (a *Ask) Issue(ctx context.Context) ([]byte, error) {
	out, err := a.issue(ctx)
	a.writeJournal(out, err)
	return out, err
}

func (a *Ask) issue(ctx context.Context) ([]byte, error) {
	defer func() { a.served.close(); a.served = nil }()
	if a.store == nil {
		e, err := a.run(ctx, entry{})
		if err != nil {
			return nil, err
		}
		return a.road.answer(e, a.b.Now()), nil
	}
	if e, ok := a.lookup(); ok {
		return a.ahead(ctx, e)
	}
	if err := a.recentFailure(a.began.Add(-failureShare)); err != nil {
		return nil, a.replay(err)
	}
	unlock := a.wait(ctx)
	for range a.keys { // what came of others' runs may say that another lock is the right one
		key := a.lockKey()
		if key == a.key || ctx.Err() != nil {
			break
		}
		unlock()
		a.key = key
		unlock = a.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		unlock()
		return nil, err
	}
	defer unlock()
	if e, ok := a.lookup(); ok {
		return a.give(e), nil
	}
	if err := a.recentFailure(a.began.Add(-failureShare)); err != nil {
		return nil, a.replay(err)
	}
	e, err := a.renew(ctx)
	if err != nil {
		return nil, err
	}
	return a.give(e), nil
}

// ahead renews an entry that still lives where nobody else does, and gives the
// old one where that fails.
func (a *Ask) ahead(ctx context.Context, old entry) ([]byte, error) {
	if a.b.Now().Before(old.renew) {
		return a.give(old), nil
	}
	if a.recentFailure(a.began.Add(-aheadPause)) != nil {
		return a.give(old), nil
	}
	unlock, ok, err := a.b.locker.tryLock(a.store.path(a.key, lockSuffix))
	if err != nil || !ok {
		return a.give(old), nil
	}
	defer unlock()
	if e, ok := a.lookup(); ok && a.b.Now().Before(e.renew) {
		return a.give(e), nil
	}
	e, err := a.renew(ctx)
	var failed *IssuerError
	switch {
	case err == nil:
		return a.give(e), nil
	case errors.As(err, &failed) && old.usable(a.b.Now()):
		a.stale = err
		a.b.notice(fmt.Sprintf("%v; the credential at hand lives until %s", err, old.expires.UTC().Format(time.RFC3339)))
		return a.give(old), nil
	}
	return nil, err
}

// aheadPause is how long nobody tries to renew ahead after that has failed.
const aheadPause = 20 * time.Second

// wait takes the key's lock. Where that cannot be had, be it that the file
// system has no locks or that the holder takes longer than any issuer may, the
// question goes on without it: better twice than never.
func (a *Ask) wait(ctx context.Context) (unlock func()) {
	path := a.store.path(a.key, lockSuffix)
	unlock, ok, err := a.b.locker.tryLock(path)
	if ok {
		return unlock
	}
	none := func() {}
	a.remember(0, a.b.Now())
	a.served.close()
	a.served = nil // to be read again after the wait
	if err != nil {
		a.b.cacheTrouble("cannot lock its cache, so that calls at the same time each ask the issuer: ", err)
		return none
	}
	limited, cancel := context.WithTimeout(ctx, a.limit()+2*drainWait)
	defer cancel()
	told := make(chan struct{})
	stop := make(chan struct{})
	go func() { // says what it waits for, once, where that takes its time
		defer close(told)
		a.tellWaiting(stop)
	}()
	unlock, err = a.b.locker.lock(limited, path)
	close(stop)
	<-told
	if err != nil {
		if ctx.Err() == nil {
			a.b.notice("waited long enough for another process that runs " + a.issuer + ", and runs it too")
		}
		return none
	}
	return unlock
}

// patience is how long a wait goes without a word.
const patience = 3 * time.Second

func (a *Ask) tellWaiting(stop <-chan struct{}) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-stop:
		return
	case <-t.C:
	}
	data, _, err := a.store.read(a.key, whoSuffix)
	if err != nil {
		return
	}
	pid, mode, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if mode == "interactive" {
		a.b.notice(fmt.Sprintf("waiting for the login that process %s began with %s, up to %s", oneLine(pid), a.issuer, a.limit()))
		return
	}
	a.b.notice(fmt.Sprintf("waiting for %s, which process %s runs", a.issuer, oneLine(pid)))
}

// limit bounds the issuer's run.
func (a *Ask) limit() time.Duration {
	if a.road.interactive() {
		return max(a.b.Timeout, a.b.LoginTimeout)
	}
	return a.b.Timeout
}

// renew runs the issuer and keeps what comes of it. The lock is held.
func (a *Ask) renew(ctx context.Context) (entry, error) {
	defer a.announce()()

	old, _ := a.b.entry(a.store, a.key)
	e, err := a.run(ctx, old)
	if err != nil {
		var failed *IssuerError
		if errors.As(err, &failed) && ctx.Err() == nil {
			a.keepFailure(failed)
		}
		return entry{}, err
	}
	if e.until.After(e.created) {
		if err := a.store.write(e.key, entrySuffix, e.encode()); err != nil {
			a.b.cacheTrouble("works without its cache: ", err)
		}
		a.keepScope(e.key)
		a.store.remove(a.key, failSuffix)
		if e.id%sweepOdds == 0 {
			a.store.sweep(a.b.Now())
		}
	}
	return e, nil
}

// announce leaves word for those who wait, where the issuer takes long enough for
// anybody to ask: who runs it, and whether that is a login.
func (a *Ask) announce() (stop func()) {
	mode := "batch"
	if a.road.interactive() {
		mode = "interactive"
	}
	done := make(chan struct{})
	t := time.AfterFunc(patience/2, func() {
		defer close(done)
		_ = a.store.write(a.key, whoSuffix, []byte(strconv.Itoa(pid())+" "+mode+"\n")) // only for people
	})
	return func() {
		if !t.Stop() {
			<-done
			a.store.remove(a.key, whoSuffix)
		}
	}
}

// run asks the issuer, in the version in which it is known to answer.
func (a *Ask) run(ctx context.Context, old entry) (entry, error) {
	version := a.road.asked()
	if v := first(old.speaks, speaksOnly[baseName(a.path)]); v != "" {
		version = v
	}
	stopWord := a.tellLogin()
	defer stopWord()
	c, err := a.tries(ctx, version)
	var failed *versionError
	for errors.As(err, &failed) && ctx.Err() == nil {
		next := older(failed.asked)
		if next == "" {
			break
		}
		a.b.notice(fmt.Sprintf("%s seems not to speak %s, so it is asked in %s", a.issuer, failed.asked, next))
		c, err = a.try(ctx, next)
	}
	if errors.As(err, &failed) {
		err = failed.IssuerError
	}
	if err != nil {
		return entry{}, err
	}
	key := ""
	if c.scope < len(a.keys) {
		key = a.keys[c.scope]
	}
	now := a.b.Now()
	if !c.expires.IsZero() && !now.Before(c.expires) {
		a.b.notice(fmt.Sprintf("%s gave a credential that expired at %s; if it did not, this machine's clock is wrong", a.issuer, c.expires.UTC().Format(time.RFC3339)))
	}
	e := entry{
		key: key, id: idOf(c.payload), created: now, expires: c.expires, until: c.until, renew: c.renew,
		issuer: public(a.issuer, a.args), about: c.about, payload: c.payload,
	}
	if c.speaks != a.road.asked() {
		e.speaks = c.speaks
	}
	if !c.keep {
		e.until, e.renew = now, now
	}
	if a.suspect != 0 {
		e.refused, e.refusals = now, old.refusals+1
	}
	return e, nil
}

// tellLogin says that a login may take its time, where it does.
func (a *Ask) tellLogin() (stop func()) {
	if !a.road.interactive() {
		return func() {}
	}
	t := time.AfterFunc(4*patience, func() {
		a.b.notice(fmt.Sprintf("still waiting for %s, in which you may have to log in, up to %s", a.issuer, a.limit()))
	})
	return func() { t.Stop() }
}

// versionError is a failure that seems to come from the version asked in.
type versionError struct {
	*IssuerError
	asked string
}

// retryPause is the time before an issuer that failed is run again; it doubles.
const retryPause = 700 * time.Millisecond

// tries runs the issuer, more than once where the road allows that and there is
// time. Exit status 2 says by convention that it was asked wrongly, which a second
// time does not mend.
func (a *Ask) tries(ctx context.Context, version string) (credential, error) {
	c, err := a.try(ctx, version)
	pause := retryPause
	for range a.road.attempts() - 1 {
		var failed *IssuerError
		if !errors.As(err, &failed) || failed.answered || failed.Status == 2 || a.b.Now().Add(pause).Sub(a.began) > a.limit()/2 {
			break
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return c, ctx.Err()
		}
		pause *= 2
		c, err = a.try(ctx, version)
	}
	return c, err
}

// try runs the issuer once.
func (a *Ask) try(ctx context.Context, version string) (credential, error) {
	environ, stdin := a.road.request(version)
	stdout, stderr, err := a.b.issue(ctx, run{
		path: a.path, name: a.issuer, args: a.args, env: environ, stdin: stdin,
		interactive: a.road.interactive(), limit: a.limit(),
	})
	var failed *IssuerError
	if errors.As(err, &failed) {
		failed.stderr = stderr
		if failed.Status != 0 && speaksOfVersions(stderr) {
			return credential{}, &versionError{failed, version}
		}
	}
	if err != nil {
		return credential{}, err
	}
	a.said = stderr
	c, err := a.road.read(stdout, a.b.Now())
	if err != nil {
		return credential{}, &IssuerError{Issuer: a.issuer, Problem: "printed no " + err.Error(), answered: true}
	}
	return c, nil
}

// speaksOfVersions tells whether an issuer's complaint is about the version of
// the protocol.
func speaksOfVersions(stderr []byte) bool {
	s := strings.ToLower(string(stderr))
	return strings.Contains(s, "apiversion") || strings.Contains(s, "api version") ||
		strings.Contains(s, "client.authentication.k8s.io") || strings.Contains(s, "credentialprovider.kubelet.k8s.io")
}

// older is the next older version, "" after the last.
func older(version string) string {
	switch version {
	case "v1":
		return "v1beta1"
	case "v1beta1":
		return "v1alpha1"
	}
	return ""
}

// speaksOnly are issuers that are known to speak one version.
var speaksOnly = map[string]string{"gke-gcloud-auth-plugin": "v1beta1"}

func idOf(payload []byte) uint64 {
	sum := sha256.Sum256(payload)
	return binary.BigEndian.Uint64(sum[:8])
}

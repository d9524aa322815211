package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

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
		e, err := a.run(ctx, &entry{})
		if err != nil {
			return nil, err
		}
		return a.road.answer(e, a.b.Now()), nil
	}
	if e := a.lookup(); e != nil {
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
	if e := a.lookup(); e != nil {
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
func (a *Ask) ahead(ctx context.Context, old *entry) ([]byte, error) {
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
	if e := a.lookup(); e != nil && a.b.Now().Before(e.renew) {
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
func (a *Ask) renew(ctx context.Context) (*entry, error) {
	defer a.announce()()

	old := cmp.Or(a.b.entry(a.store, a.key), &entry{})
	e, err := a.run(ctx, old)
	if err != nil {
		var failed *IssuerError
		if errors.As(err, &failed) && ctx.Err() == nil {
			a.keepFailure(failed)
		}
		return nil, err
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

package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// run asks the issuer, in the version in which it is known to answer.
func (a *Ask) run(ctx context.Context, old *entry) (*entry, error) {
	version := a.road.asked()
	if v := cmp.Or(old.speaks, speaksOnly(baseName(a.path))); v != "" {
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
		return nil, err
	}
	key := ""
	if c.scope < len(a.keys) {
		key = a.keys[c.scope]
	}
	now := a.b.Now()
	if !c.expires.IsZero() && !now.Before(c.expires) {
		a.b.notice(fmt.Sprintf("%s gave a credential that expired at %s; if it did not, this machine's clock is wrong", a.issuer, c.expires.UTC().Format(time.RFC3339)))
	}
	e := &entry{
		key: key, id: idOf(c.payload), created: now, expires: c.expires, until: c.until, renew: c.renew,
		issuer: []byte(public(a.issuer, a.args)), about: []byte(c.about), payload: c.payload,
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
		interactive: a.road.interactive(), limit: a.limit(), sweep: a.road.sweeps(),
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

// speaksOnly is the one version that an issuer is known to speak, "" for all
// others.
func speaksOnly(issuer string) string {
	if issuer == "gke-gcloud-auth-plugin" {
		return "v1beta1"
	}
	return ""
}

func idOf(payload []byte) uint64 {
	sum := sha256.Sum256(payload)
	return binary.BigEndian.Uint64(sum[:8])
}

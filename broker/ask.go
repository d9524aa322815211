package broker

import "time"

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
	answer(e *entry, now time.Time) []byte
	// keys are the names under which the answer may lie, the narrowest first, made
	// from the one that says who asks.
	keys(base string) []string
	// sweeps tells whether what an issuer leaves behind is ended.
	sweeps() bool
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
	e := a.lookup()
	if e == nil || !a.b.Now().Before(e.renew) {
		return nil, false
	}
	return a.give(e), true
}

// lookup returns the entry where it may be handed out to the one who asks, or nil.
func (a *Ask) lookup() *entry {
	if a.store == nil {
		return nil
	}
	for _, key := range a.keys {
		e := a.b.entry(a.store, key)
		if e == nil || !e.usable(a.b.Now()) || a.suspect != 0 && e.id == a.suspect && e.created.Before(a.began) {
			continue
		}
		if a.refused(e) {
			a.suspect = e.id
			continue
		}
		return e
	}
	return nil
}

// give writes the answer, and remembers who got it.
func (a *Ask) give(e *entry) []byte {
	now := a.b.Now()
	a.remember(e.id, now)
	return a.road.answer(e, now)
}

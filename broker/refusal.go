package broker

import "time"

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
func (a *Ask) refused(e *entry) bool {
	if !a.b.Refusals || !a.road.refusable() {
		return false
	}
	if a.served == nil {
		a.self = a.b.parent()
		a.served = a.store.openServed(a.key, a.self)
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

// remember notes that the one who asks was given a credential, or, where id is
// 0, that it waits for one. A process whose questions overlap is marked as one
// that asks several times at once.
func (a *Ask) remember(id uint64, now time.Time) {
	if a.store == nil || !a.b.Refusals || !a.road.refusable() {
		return
	}
	if a.served == nil {
		a.self = a.b.parent()
		a.served = a.store.openServed(a.key, a.self)
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

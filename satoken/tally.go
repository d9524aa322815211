package satoken

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kubecred/kubecred/auditlog"
)

// TallyOptions say which events count.
type TallyOptions struct {
	// From and Until bound the events' times; zero means no bound.
	From, Until time.Time
}

// Tally collects what a log says of tokens. It may be used by several
// goroutines. What it says does not depend on the order of the events.
type Tally struct {
	o           TallyOptions
	mu          sync.RWMutex
	tell        sync.Mutex        // for the sums below, among those who share the tally
	tokens      map[string]*token // by credential id
	nameless    map[string]*nameless
	refused     map[string]*refused
	names       map[string]string // account names, each kept once
	scratch     []byte
	newest      int64
	oldest      int64
	budget      budget
	late, early int64 // events outside From and Until
	dropped     int64 // refused clients beyond maxRefused
	forgotten   map[owner]*forgotten
	forgetAt    int
	left        int64            // tokens that were forgotten
	issues      map[string]issue // by credential id
}

const (
	maxClients  = 32      // kept of one token
	maxRefused  = 10_000  // clients whose refusals are kept
	maxFresh    = 15_000  // tokens kept before unused fresh ones are forgotten
	maxIDs      = 1 << 18 // audit ids kept of marked tokens
	maxFreshIDs = 1 << 17 // and of others
	maxText     = 256     // bytes kept of a name or user agent
)

// token is what was seen of one token. Its lock is for those who share the tally;
// who has the tally alone needs none.
type token struct {
	// What each use of the token asks for stands first, and together.
	mu          sync.Mutex
	account     string
	first, last int64 // unix nanoseconds
	issued      int64 // unix seconds, by the marks; 0 if it was never marked
	ids         idSet

	note              *note  // for the senders that use it
	owner             uint64 // the HashID of its account's uid, 0 while that is not known
	pod, podUID, node string
	id                string
	clients           []Client // sorted
	issue             *issue
}

// Client is who a request says it comes from.
type Client struct {
	UserAgent string `json:"userAgent"`
	// SourceIP is the first address, which is what the caller claims.
	SourceIP string `json:"sourceIP"`
}

// nameless holds the tokens of a pod whose events carry no credential id.
type nameless struct {
	fresh  *token
	marked []*token // apart by more than sameToken
}

// sameToken is how far the issue times that two marks tell may be apart for one
// token: the cache's lag and a second of rounding, with room.
const sameToken = 30

// refused is a client that was answered 401.
type refused struct {
	client      Client
	first, last int64
	ids         idSet
	times       timeSet
}

// owner is an account. Another cluster's has the same name, but not the same uid.
type owner struct {
	account string
	uid     uint64
}

// forgotten stands for the fresh tokens of an account that were let go.
type forgotten struct {
	pod, podUID string
	first, last int64
}

type budget struct {
	marked, fresh share
}

// share is the number of hashes that sets may hold together, and how many one
// set may hold so that all fit.
type share struct{ used, limit, each int }

func (s *share) full() bool { return s.used > s.limit }

func NewTally(o TallyOptions) *Tally {
	return &Tally{
		o: o, tokens: map[string]*token{}, nameless: map[string]*nameless{}, refused: map[string]*refused{},
		names: map[string]string{}, forgotten: map[owner]*forgotten{}, issues: map[string]issue{}, forgetAt: maxFresh, oldest: math.MaxInt64,
		budget: budget{marked: share{limit: maxIDs, each: maxIDs}, fresh: share{limit: maxFreshIDs, each: maxFreshIDs}},
	}
}

var accountPrefix = []byte("system:serviceaccount:")

// Add counts events. It keeps nothing of their buffers.
func (t *Tally) Add(events []auditlog.Event) {
	t.mu.RLock()
	c := t.share(events)
	full := t.tellCrowd(&c)
	t.mu.RUnlock()
	if len(c.rest) == 0 && !full {
		return // without a wait for those who share the tally
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.economise(&t.budget.fresh)
	t.economise(&t.budget.marked)
	for _, i := range c.rest {
		t.add(&events[i])
	}
}

// tellCrowd notes what counting came to, and tells whether there are too many ids.
func (t *Tally) tellCrowd(c *crowd) (full bool) {
	t.tell.Lock()
	defer t.tell.Unlock()
	t.newest, t.oldest = max(t.newest, c.newest), min(t.oldest, c.oldest)
	t.early += c.early
	t.late += c.late
	t.budget.fresh.used += c.fresh
	t.budget.marked.used += c.marked
	return t.budget.fresh.full() || t.budget.marked.full()
}

// add counts an event whose time counts.
func (t *Tally) add(ev *auditlog.Event) {
	at := ev.Time.UnixNano()
	if len(ev.Issued) > 0 {
		t.issued(ev, at)
	}
	account, ok := bytes.CutPrefix(ev.Username, accountPrefix)
	if !ok && len(ev.Mark) == 0 && ev.Code != 401 {
		return
	}
	var mark auditlog.Mark
	marked := false
	if len(ev.Mark) > 0 {
		if mark, marked = auditlog.ParseMark(ev.Mark); marked && !ok {
			account, ok = bytes.CutPrefix(mark.Subject, accountPrefix)
		}
	}
	if !ok {
		if ev.Code == 401 && (len(ev.Username) == 0 || string(ev.Username) == "system:anonymous") {
			t.refuse(ev, at)
		}
		return
	}
	i := bytes.IndexByte(account, ':')
	if i <= 0 || i == len(account)-1 {
		return
	}
	tok := t.find(ev, account, at, mark, marked)
	tok.first = min(tok.first, at)
	tok.last = max(tok.last, at)
	if len(ev.UserUID) > 0 {
		tok.owner = max(tok.owner, auditlog.HashID(ev.UserUID))
	}
	if tok.node == "" && len(ev.NodeName) > 0 {
		tok.node = t.intern(ev.NodeName)
	}
	t.client(tok, ev)
	t.count(tok, ev.AuditID, marked)
	if ev.Sender != nil && len(ev.CredentialID) > 0 {
		if tok.note == nil {
			tok.note = &note{tally: t, token: tok}
		}
		tok.note.client, ev.Sender.Note = ev.Client, tok.note
		tok.fold(ev.Sender)
	}
}

// note is what a tally keeps of senders: the token that they use. Senders may be held
// on to for longer than the token.
type note struct {
	tally  *Tally
	token  *token           // nil once it was let go
	gone   *forgotten       // and what stands for it then, if anything
	client *auditlog.Client // the one that was noted last
}

// issuedAt is the second at which a marked token was issued, at the latest: S
// lags behind by the cache's age.
func issuedAt(at int64, m auditlog.Mark) int64 {
	return at/int64(time.Second) - m.Seconds - int64(WarnAfter/time.Second)
}

// find returns the token of an event.
func (t *Tally) find(ev *auditlog.Event, account []byte, at int64, mark auditlog.Mark, marked bool) *token {
	issued := int64(0)
	if marked {
		issued = issuedAt(at, mark)
	}
	if id := ev.CredentialID; len(id) > 0 {
		tok, ok := t.tokens[string(id)]
		if !ok {
			tok = t.new(ev, account, at)
			key := string(id)
			if tok.id = strings.TrimPrefix(key, "JTI="); len(id) > maxText || !utf8.ValidString(key) {
				tok.id = strings.TrimPrefix(text(id), "JTI=")
			}
			t.tokens[key] = tok
			t.forget()
		}
		t.mark(tok, issued)
		return tok
	}
	t.scratch = append(append(t.scratch[:0], account...), 0)
	if len(ev.PodUID) > 0 {
		t.scratch = append(t.scratch, ev.PodUID...)
	} else {
		t.scratch = append(append(append(append(t.scratch, '/'), ev.PodName...), 0), ev.UserUID...)
	}
	n, ok := t.nameless[string(t.scratch)]
	if !ok {
		n = &nameless{}
		t.nameless[string(t.scratch)] = n
	}
	if !marked {
		if n.fresh == nil {
			n.fresh = t.new(ev, account, at)
		}
		return n.fresh
	}
	return t.nearest(n, ev, account, at, issued)
}

// nearest returns the marked token of a nameless pod that was issued at the
// time. Tokens that turn out to be one are joined.
func (t *Tally) nearest(n *nameless, ev *auditlog.Event, account []byte, at, issued int64) *token {
	var hit *token
	n.marked = slices.DeleteFunc(n.marked, func(tok *token) bool {
		if tok.issued-sameToken > issued || issued > tok.issued+sameToken {
			return false
		}
		if hit == nil {
			hit = tok
			return false
		}
		t.join(hit, tok)
		return true
	})
	if hit == nil {
		hit = t.new(ev, account, at)
		n.marked = append(n.marked, hit)
	}
	t.mark(hit, issued)
	return hit
}

func (t *Tally) join(into, from *token) {
	into.first, into.last = min(into.first, from.first), max(into.last, from.last)
	into.issued = min(into.issued, from.issued)
	for _, c := range from.clients {
		t.addClient(into, c)
	}
	t.budget.marked.used += from.ids.settle()
	for h := range from.ids.all {
		t.budget.marked.used += into.ids.insert(h, t.budget.marked.each)
	}
	t.budget.marked.used += into.ids.settle()
	t.budget.marked.used -= from.ids.n
}

// mark notes the issue time that a mark tells. The first mark makes the
// requests before it not count.
func (t *Tally) mark(tok *token, issued int64) {
	if issued == 0 {
		return
	}
	if tok.issued == 0 {
		t.budget.fresh.used -= tok.ids.n
		tok.ids = idSet{}
		tok.issued = issued
	}
	tok.issued = min(tok.issued, issued)
}

func (t *Tally) new(ev *auditlog.Event, account []byte, at int64) *token {
	return &token{
		account: t.intern(bytes.Replace(account, []byte(":"), []byte("/"), 1)),
		pod:     text(ev.PodName), podUID: text(ev.PodUID),
		first: at, last: at,
	}
}

// count notes the audit id: of marked requests only, once the token is marked.
func (t *Tally) count(tok *token, id []byte, marked bool) {
	share := &t.budget.fresh
	if tok.issued != 0 {
		if !marked {
			return
		}
		share = &t.budget.marked
	}
	t.grow(share, tok.ids.insert(auditlog.HashID(id), share.each))
}

// grow notes that sets of ids grew.
func (t *Tally) grow(share *share, by int) {
	if share.used += by; share.full() {
		t.economise(share)
	}
}

// economise makes sets of ids smaller until all fit. What is used is counted
// anew: some of it may have been noted twice, by those who share the tally.
func (t *Tally) economise(share *share) {
	used := func() (n int) {
		for tok := range t.all() {
			if (tok.issued != 0) == (share == &t.budget.marked) {
				tok.ids.trim(share.each)
				n += tok.ids.n
			}
		}
		return n
	}
	if !share.full() {
		return
	}
	for share.used = used(); share.full() && share.each > 1; share.used = used() {
		share.each /= 2
	}
}

// settle ends the waiting of ids, and counts what they take up.
func (t *Tally) settle() {
	for tok := range t.all() {
		share := &t.budget.fresh
		if tok.issued != 0 {
			share = &t.budget.marked
		}
		share.used += tok.ids.settle()
	}
	t.economise(&t.budget.marked)
	t.economise(&t.budget.fresh)
}

// all yields every token.
func (t *Tally) all() func(func(*token) bool) {
	return func(yield func(*token) bool) {
		for _, tok := range t.tokens {
			if !yield(tok) {
				return
			}
		}
		for _, n := range t.nameless {
			for _, tok := range n.marked {
				if !yield(tok) {
					return
				}
			}
			if n.fresh != nil && !yield(n.fresh) {
				return
			}
		}
	}
}

// client notes who made the request. Of very many it keeps those that sort
// first, so that the choice does not depend on the order of events.
func (t *Tally) client(tok *token, ev *auditlog.Event) {
	if tok.knows(ev) {
		return
	}
	t.addClient(tok, Client{t.intern(ev.UserAgent), t.intern(ev.SourceIP)})
}

func (t *Tally) addClient(tok *token, c Client) {
	i, ok := slices.BinarySearchFunc(tok.clients, c, compareClients)
	if ok || i == maxClients {
		return
	}
	tok.clients = slices.Insert(tok.clients, i, c)
	tok.clients = tok.clients[:min(len(tok.clients), maxClients)]
}

func compareClients(a, b Client) int {
	return cmp.Or(cmp.Compare(a.UserAgent, b.UserAgent), cmp.Compare(a.SourceIP, b.SourceIP))
}

// intern returns b as a string, the same one for the same bytes.
func (t *Tally) intern(b []byte) string {
	if s, ok := t.names[string(b)]; ok {
		return s
	}
	s := text(b)
	if len(t.names) < 4*maxRefused {
		t.names[string(b)] = s
	}
	return s
}

// text copies what a log says into a string that is safe to print as JSON.
func text(b []byte) string {
	if len(b) > maxText {
		b = b[:maxText]
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

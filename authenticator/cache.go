package authenticator

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
)

// key is a token's SHA-256 hash. The token itself is never kept.
type key [32]byte

// known is what STS said of a token. There are many, so it holds few pointers
// and is looked at by the garbage collector soon.
type known struct {
	key      key
	id       iammap.Identity
	endpoint string
	cluster  string
	// fresh is until when STS need not be asked again, expires when the
	// token's life ends.
	fresh, expires time.Time
	// refused is STS's no, instead of an identity.
	refused *verify.Error
	// answer is the last answer given, good for as long as the mappings are
	// the same.
	answer atomic.Pointer[answer]
}

// answer is a decision as it is given. It does not change, but for its encoded
// forms, each of which is made when it is first wanted.
type answer struct {
	table        *iammap.Table
	decision     decision
	resolvedTill time.Time // an EC2 name is asked for again after this

	v1, v1beta1 atomic.Pointer[[]byte]
}

func (a *answer) body(apiVersion string) []byte {
	form := &a.v1
	if apiVersion == groupV1beta1 {
		form = &a.v1beta1
	}
	if b := form.Load(); b != nil {
		return *b
	}
	b := a.appendReview(make([]byte, 0, a.decision.size()), apiVersion)
	form.Store(&b)
	return b
}

// cache keeps the most recently used tokens, in shards so that many cores do
// not wait for one lock.
type cache struct {
	shards [shards]shard
}

const shards = 16

type shard struct {
	mu    sync.Mutex
	items map[key]*list.Element
	order list.List // of *known, the most recently used first
	max   int
}

// newCache keeps at most size tokens; 0 keeps none.
func newCache(size int) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].items = map[key]*list.Element{}
		c.shards[i].max = (size + shards - 1) / shards
	}
	return c
}

func (c *cache) shard(k key) *shard { return &c.shards[k[0]%shards] }

// get returns what is known of a token whose life has not ended.
func (c *cache) get(k key, now time.Time) *known {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.items[k]
	if e == nil {
		return nil
	}
	kn := e.Value.(*known)
	if !now.Before(kn.expires) {
		s.order.Remove(e)
		delete(s.items, k)
		return nil
	}
	s.order.MoveToFront(e)
	return kn
}

// put keeps what is known of a token, in this cache only.
func (c *cache) put(k key, kn *known) {
	s := c.shard(k)
	if s.max == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.items[k]; e != nil {
		kn.key = k
		e.Value = kn
		s.order.MoveToFront(e)
		return
	}
	kn.key = k
	s.items[k] = s.order.PushFront(kn)
	for s.order.Len() > s.max {
		last := s.order.Back()
		delete(s.items, last.Value.(*known).key)
		s.order.Remove(last)
	}
}

// drop forgets a token.
func (c *cache) drop(k key) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.items[k]; e != nil {
		s.order.Remove(e)
		delete(s.items, k)
	}
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.order.Len()
		s.mu.Unlock()
	}
	return n
}

// flights joins reviews of one token that arrive while STS is asked.
type flights struct {
	mu  sync.Mutex
	now map[key]*flight
}

type flight struct {
	done  chan struct{}
	known *known
	err   error
}

// join returns the flight of a token, and whether the caller must fly it.
func (f *flights) join(k key) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.now[k]; fl != nil {
		return fl, false
	}
	fl := &flight{done: make(chan struct{})}
	if f.now == nil {
		f.now = map[key]*flight{}
	}
	f.now[k] = fl
	return fl, true
}

func (f *flights) land(k key, fl *flight, kn *known, err error) {
	fl.known, fl.err = kn, err
	f.mu.Lock()
	delete(f.now, k)
	f.mu.Unlock()
	close(fl.done)
}

package authenticator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNoSuchInstance is for an instance that EC2 does not know.
var ErrNoSuchInstance = errors.New("EC2 knows no such instance")

// Describer asks EC2 for the private DNS names of instances. Instances that it
// does not know are left out of the answer.
type Describer interface {
	PrivateDNSNames(ctx context.Context, ids []string) (map[string]string, error)
}

// Instances finds names of EC2 instances. Questions that come together are
// asked together, and names are remembered: they do not change while an
// instance lives.
type Instances struct {
	describer Describer
	log       func(n int, err error)

	mu      sync.Mutex
	names   map[string]name
	pending map[string]*wait
	timer   bool
}

type name struct {
	dns  string // "": unknown to EC2
	till time.Time
}

type wait struct {
	done chan struct{}
	name string
	err  error
}

const (
	// batchWait is for how long questions are gathered, maxBatch how many.
	batchWait = 20 * time.Millisecond
	maxBatch  = 100
	// askTimeout bounds one call.
	askTimeout = 5 * time.Second
	// nameTTL and noNameTTL are for how long names are remembered, and that
	// there is none: a new instance is known to EC2 after some seconds.
	nameTTL   = 6 * time.Hour
	noNameTTL = 10 * time.Second
	maxNames  = 20000
)

// NewInstances returns a finder. called, which may be nil, is told of each
// call with its number of instances.
func NewInstances(d Describer, called func(n int, err error)) *Instances {
	if called == nil {
		called = func(int, error) {}
	}
	return &Instances{describer: d, log: called, names: map[string]name{}, pending: map[string]*wait{}}
}

// PrivateDNSName implements iammap.Resolver.
func (i *Instances) PrivateDNSName(ctx context.Context, id string) (string, error) {
	i.mu.Lock()
	if n, ok := i.names[id]; ok && time.Now().Before(n.till) {
		i.mu.Unlock()
		return n.dns, n.err(id)
	}
	w := i.pending[id]
	if w == nil {
		w = &wait{done: make(chan struct{})}
		i.pending[id] = w
		switch {
		case len(i.pending) >= maxBatch:
			go i.ask(i.take())
		case !i.timer:
			i.timer = true
			time.AfterFunc(batchWait, func() {
				i.mu.Lock()
				i.timer = false
				batch := i.take()
				i.mu.Unlock()
				i.ask(batch)
			})
		}
	}
	i.mu.Unlock()
	select {
	case <-w.done:
		return w.name, w.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (n name) err(id string) error {
	if n.dns == "" {
		return fmt.Errorf("%w: %s", ErrNoSuchInstance, id)
	}
	return nil
}

// take empties the list of questions. The lock is held.
func (i *Instances) take() map[string]*wait {
	batch := i.pending
	i.pending = map[string]*wait{}
	return batch
}

func (i *Instances) ask(batch map[string]*wait) {
	if len(batch) == 0 {
		return
	}
	ids := make([]string, 0, len(batch))
	for id := range batch {
		ids = append(ids, id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	found, err := i.describer.PrivateDNSNames(ctx, ids)
	i.log(len(ids), err)
	now := time.Now()
	i.mu.Lock()
	if len(i.names)+len(batch) > maxNames {
		clear(i.names)
	}
	for id, w := range batch {
		if err != nil {
			w.err = fmt.Errorf("asking EC2 for %s: %w", id, err)
			continue
		}
		n := name{dns: found[id], till: now.Add(nameTTL)}
		if n.dns == "" {
			n.till = now.Add(noNameTTL)
		}
		i.names[id] = n
		w.name, w.err = n.dns, n.err(id)
	}
	i.mu.Unlock()
	for _, w := range batch {
		close(w.done)
	}
}

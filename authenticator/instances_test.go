package authenticator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestInstances(t *testing.T) {
	d := &describer{names: map[string]string{"i-00000001": "ip-1", "i-00000002": "ip-2"}}
	in := NewInstances(d, nil)
	w := newWorld(t, func(o *Options) { o.Instances = in })
	var wg sync.WaitGroup
	for i := 1; i <= 3; i++ {
		for range 5 {
			wg.Go(func() {
				id := fmt.Sprintf("i-0000000%d", i)
				got, err := in.PrivateDNSName(t.Context(), id)
				if want := d.names[id]; got != want || (err == nil) != (want != "") {
					t.Errorf("%s: %q, %v", id, got, err)
				}
			})
		}
	}
	wg.Wait()
	if n := d.calls.Load(); n > 2 {
		t.Errorf("%d calls of EC2 for three instances at once", n)
	}
	if r := ask(t, w, "v1", tokenAt(t, w.session("node", "i-00000002"), time.Now())); r.review.Status.User.Username != "system:node:ip-2" {
		t.Errorf("%s", r.raw)
	}
	d.fail.Store(true)
	r := ask(t, w, "v1", tokenAt(t, w.session("node", "i-00000009"), time.Now().Add(-time.Second)))
	if r.code != 503 {
		t.Errorf("EC2 does not answer: %d %s", r.code, r.raw)
	}
}

type describer struct {
	names map[string]string
	calls atomic.Int32
	fail  atomic.Bool
}

func (d *describer) PrivateDNSNames(_ context.Context, ids []string) (map[string]string, error) {
	d.calls.Add(1)
	if d.fail.Load() {
		return nil, errors.New("RequestLimitExceeded")
	}
	out := map[string]string{}
	for _, id := range ids {
		if n, ok := d.names[id]; ok {
			out[id] = n
		}
	}
	return out, nil
}

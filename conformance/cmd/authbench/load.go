//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// result is one measurement.
type result struct {
	rate     float64
	p50, p99 time.Duration
	cpu      time.Duration // of the server, for each review
	wrong    int64
}

// version is the only one that the peer speaks.
const version = "v1beta1"

var serial atomic.Int64

// newToken signs a token; each call another one.
func newToken() string {
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	n := serial.Add(1)
	t, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}, ekstoken.Request{
		ClusterID: "demo", Endpoint: e, Time: time.Now().Add(-time.Duration(n%300) * time.Second), Expires: int(n/300)%899 + 1,
	})
	if err != nil {
		panic(err)
	}
	return t
}

// load keeps so many connections busy for a while.
func load(ctx context.Context, s *server, unique bool, conns int, span time.Duration) (result, error) {
	same := request(newToken(), version)
	// Unique tokens are signed before, so that signing is not measured.
	var ready [][]byte
	if unique {
		for range int(span.Seconds()*20000) + conns {
			ready = append(ready, request(newToken(), version))
		}
	}
	// What is left over would be swept up while the servers are measured.
	runtime.GC()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	// Client and stand-in have one thread between them. On two processors another
	// one would take turns with the threads of the server, and the p99 would tell
	// how long a thread waits for its next turn, with the request that it was at.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	clients := make([]*client, conns)
	var up errgroup
	for i := range clients {
		clients[i] = &client{address: s.address}
		defer clients[i].close()
		up.Go(func() error { return ask(clients[i], same) }) // the handshake is not measured
	}
	if err := up.Wait(); err != nil {
		return result{}, err
	}
	var next, wrong atomic.Int64
	times := make([][]time.Duration, conns)
	var wg sync.WaitGroup
	start, cpu := time.Now(), s.cpu()
	for i, c := range clients {
		wg.Go(func() {
			for now := time.Now(); now.Sub(start) < span && ctx.Err() == nil; {
				b := same
				if unique {
					n := int(next.Add(1)) - 1
					if n >= len(ready) {
						return
					}
					b = ready[n]
				}
				err := ask(c, b)
				end := time.Now()
				if err != nil {
					wrong.Add(1)
				} else {
					times[i] = append(times[i], end.Sub(now))
				}
				now = end
			}
		})
	}
	wg.Wait()
	took, cpu := time.Since(start), s.cpu()-cpu
	all := slices.Concat(times...)
	if len(all) == 0 {
		return result{}, errors.New("no review was answered")
	}
	slices.Sort(all)
	return result{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100], cpu / time.Duration(len(all)), wrong.Load()}, ctx.Err()
}

var alice = []byte(`"username":"alice"`)

func ask(c *client, request []byte) error {
	a, err := c.do(request)
	switch {
	case err != nil:
		return err
	case a.status != 200 || !bytes.Contains(a.body, alice):
		return fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return nil
}

// errgroup waits for goroutines and keeps their errors.
type errgroup struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *errgroup) Go(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
}

func (g *errgroup) Wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}

//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// faults of STS. Those with a body or a redirect lie.
var faults = []awsfake.Fault{
	{Throttle: true},
	{Status: http.StatusServiceUnavailable},
	{Reset: true},
	{Delay: 3 * time.Second, Status: http.StatusInternalServerError}, // longer than the server waits
	{Delay: 100 * time.Millisecond},
	{Body: `{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"999999999999","Arn":"arn:aws:iam::123456789012:user/alice","UserId":"AIDA"}}}`},
	{Body: "<html>Sign in to the hotel's network</html>"},
	{Redirect: "http://169.254.169.254/latest/meta-data/iam/security-credentials/"},
}

// How long STS is well, how long a fault is on, and how long its consequences
// may be seen after it: the server asks again 15 seconds after the last failure,
// and its call that failed may have begun with the fault and taken 2 more.
const (
	healthy = 3 * time.Second
	faulty  = 10 * time.Second
	healing = 18 * time.Second
)

// weather tells whether STS is well, and has been for as long as a fault has
// consequences.
type weather struct{ well atomic.Bool }

// change switches the faults on and off, one after the other, until ctx ends. In
// a short run each is on for a quarter of a second, and STS gets well only after
// the last.
func (w *weather) change(ctx context.Context, aws *awsfake.Server, short bool) {
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		w.well.Store(true)
		pause(healthy)
		w.well.Store(false)
		cast := faults[i%len(faults) : i%len(faults)+1]
		on := faulty
		if short {
			cast, on = faults, faulty/40
		}
		for _, f := range cast {
			f.Action = "sts:GetCallerIdentity"
			aws.Fail(f)
			pause(on)
			aws.Mend()
		}
		pause(healing)
	}
}

// tally counts what became of reviews.
type tally struct {
	asked, identified, refused, later, late atomic.Int64

	mu     sync.Mutex
	wrong  []string
	wrongs int
}

func (t *tally) fault(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrongs++; t.wrongs <= 10 {
		t.wrong = append(t.wrong, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// explain adds what the server's log says of the reviews that are wrong.
func (t *tally) explain(log []byte) {
	for i, w := range t.wrong {
		_, id, found := strings.Cut(w, "review ")
		if !found || len(id) < 12 {
			continue
		}
		for line := range bytes.Lines(log) {
			if bytes.Contains(line, []byte(`"review":"`+id[:12]+`"`)) {
				t.wrong[i] += "\n  " + strings.TrimSpace(string(line))
			}
		}
	}
}

func (t *tally) err() error {
	var errs []error
	for _, w := range t.wrong {
		errs = append(errs, errors.New(w))
	}
	if t.wrongs > len(t.wrong) {
		errs = append(errs, fmt.Errorf("and %d more that are wrong", t.wrongs-len(t.wrong)))
	}
	for what, n := range map[string]int64{"identified": t.identified.Load(), "refused": t.refused.Load(), "put off": t.later.Load()} {
		if n == 0 {
			errs = append(errs, fmt.Errorf("no review was %s", what))
		}
	}
	return errors.Join(errs...)
}

// soak asks kubecred at a steady rate while STS fails in every way, and fails
// where an answer is wrong, the memory grows or the log shows a token.
func soak(ctx context.Context, s *stand, o options) error {
	short := o.soak < 2*time.Minute
	size := 16384
	if short { // so that it is full soon
		size = 1000
	}
	srv, err := s.start(ctx, ownName, o.own, "--sts-timeout", "2s", "--cache-ttl", "15s", "--cache-size", strconv.Itoa(size))
	if err != nil {
		return err
	}
	defer srv.stop()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.soak)
	defer cancel()
	var sky weather
	var t tally
	var background, clients sync.WaitGroup
	background.Go(func() { sky.change(ctx, s.aws, short) })
	memory := &memory{server: srv}
	background.Go(func() { memory.watch(ctx, o.soak/60) })
	crowd := newCrowd(s.aws)
	questions := make(chan question, o.rate)
	background.Go(func() { crowd.ask(ctx, questions, &t, o.rate) })
	// One after the other, because the stand-in, which is in this process, does
	// not answer in time where hundreds shake hands at once.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 512 {
		<-tick.C
		clients.Go(func() {
			c := &client{address: srv.address}
			defer c.close()
			for q := range questions {
				q.judge(c, &sky, &t)
			}
		})
	}
	background.Wait()
	clients.Wait()
	took := time.Since(begin)
	fmt.Printf("%d reviews in %v, %.0f a second: %d identified, %d refused, %d put off while STS failed, %d wrong\n",
		t.asked.Load(), took.Round(time.Second), float64(t.asked.Load())/took.Seconds(), t.identified.Load(), t.refused.Load(), t.later.Load(), t.wrongs)
	text, err := memory.verdict()
	fmt.Println(text)
	if late := t.late.Load(); late*20 > t.asked.Load() {
		err = errors.Join(err, fmt.Errorf("%d reviews could not be asked in time: the machine is too busy for %d a second", late, o.rate))
	}
	log, readErr := os.ReadFile(filepath.Join(s.dir, ownName+".log"))
	t.explain(log)
	for _, secret := range []string{"X-Amz-", "k8s-aws-v1.", "c2Vzc2lvbi"} {
		if bytes.Contains(log, []byte(secret)) {
			err = errors.Join(err, fmt.Errorf("the log shows %q", secret))
		}
	}
	return errors.Join(err, readErr, t.err())
}

// Package wait is the one place of this module that waits for something which no
// channel announces: another program's port, a control group, an object in the API
// server.
package wait

import (
	"context"
	"net"
	"time"
)

// Until asks done at once, and then once each period, until it says yes. It returns
// nil then, and the context's error where that ends first: the context is the bound.
func Until(ctx context.Context, period time.Duration, done func() bool) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Listens waits until somebody accepts TCP connections at an address.
func Listens(ctx context.Context, address string) error {
	var d net.Dialer
	return Until(ctx, 50*time.Millisecond, func() bool {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// For waits for a time to pass, which is what it is about where a test is about
// time itself.
func For(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

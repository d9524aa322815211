//go:build unix

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// startService makes the address of the service "kubernetes" lead to the API
// server, as kube-proxy does on a node.
func (l *Lab) startService(ctx context.Context) error {
	if l.opts.ServiceNet == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.opts.ServiceNet+".1:443")
	if err != nil {
		return fmt.Errorf("lab: the address of the service kubernetes: %w", err)
	}
	f := &forwarder{listener: listener, to: "127.0.0.1:" + strconv.Itoa(l.apiPort), open: map[net.Conn]struct{}{}}
	f.wg.Go(f.run)
	l.own(stopFunc(f.stop))
	return nil
}

// forwarder carries bytes from the connections of a listener to an address.
type forwarder struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{} // nil once stopped
}

func (f *forwarder) run() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.forward(c) })
	}
}

func (f *forwarder) forward(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer up.Close()
	if !f.keep(c, up) {
		return
	}
	defer f.forget(c, up)
	f.wg.Go(func() {
		_, _ = io.Copy(up, c)
		_ = up.Close()
	})
	_, _ = io.Copy(c, up)
}

func (f *forwarder) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		if f.open == nil {
			return false
		}
		f.open[c] = struct{}{}
	}
	return true
}

func (f *forwarder) forget(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.open, c)
	}
}

func (f *forwarder) stop() error {
	err := f.listener.Close()
	f.mu.Lock()
	for c := range f.open {
		_ = c.Close()
	}
	f.open = nil
	f.mu.Unlock()
	f.wg.Wait()
	return err
}

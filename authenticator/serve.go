package authenticator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server is a Handler behind TLS, with health, readiness and metrics.
type Server struct {
	Handler  http.Handler
	Mappings *Mappings
	// Certificate is asked for each connection, see [Certificates].
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Reach tells whether STS can be reached, for readiness; nil for always.
	Reach func(context.Context) error
	// Notes are what readiness tells beside its verdict, a line each, such as
	// which region's STS does not answer; nil for none.
	Notes   func() []string
	Metrics prometheus.Gatherer // nil: no /metrics
	Log     *slog.Logger
	// MaxConns bounds the connections; beyond it the one that was idle longest
	// is closed. 0 for 2048.
	MaxConns int
	// Grace bounds the end: reviews under way are answered within it. 0 for 20
	// seconds.
	Grace time.Duration
	// Linger is for how long a server that is asked to end still takes new
	// reviews while it says that it is not ready, so that whoever balances
	// reviews sees it first.
	Linger time.Duration

	ending atomic.Bool
}

// Mux returns the routes: /authenticate, /healthz, /readyz and /metrics.
func (s *Server) Mux() *http.ServeMux { return s.mux(nil) }

// mux routes reviews to front, where it can take them over.
func (s *Server) mux(front *plain) *http.ServeMux {
	mux := http.NewServeMux()
	if h, ok := s.Handler.(*Handler); ok && front != nil {
		front.handler = h
		mux.Handle("/authenticate", front)
	} else {
		mux.Handle("/authenticate", s.Handler)
	}
	health := s.Health()
	mux.Handle("/healthz", health)
	mux.Handle("/readyz", health)
	mux.Handle("/metrics", health)
	return mux
}

// Health returns the routes that tell how the server is, for an address of
// their own.
func (s *Server) Health() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	}
	return mux
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.Mappings.Ready()
	if s.ending.Load() {
		err = errors.Join(errors.New("ending"), err)
	}
	if s.Reach != nil {
		err = errors.Join(err, s.Reach(r.Context()))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
	if s.Notes != nil {
		for _, note := range s.Notes() {
			fmt.Fprintln(w, note)
		}
	}
}

// Serve answers on the listener until ctx ends; then it answers what is under
// way and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	maxConns := s.MaxConns
	if maxConns == 0 {
		maxConns = 2048
	}
	grace := s.Grace
	if grace == 0 {
		grace = 20 * time.Second
	}
	conns := newConnections(maxConns)
	back := newHandedBack(l.Addr())
	front := &plain{conns: conns, back: back, open: map[*plainConn]struct{}{}}
	srv := &http.Server{
		Handler:           s.mux(front),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(quiet{s.Log}, "", 0),
		ConnState:         conns.state,
		ConnContext:       front.connContext,
	}
	tl := tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.Certificate,
		NextProtos:     []string{"h2", "http/1.1"},
	})
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		s.ending.Store(true)
		s.Log.Info("ending", "grace", grace.String())
		time.Sleep(s.Linger)
		end, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		fronts := make(chan error, 1)
		go func() { fronts <- front.end(end) }()
		err := errors.Join(srv.Shutdown(end), <-fronts)
		if err != nil {
			err = errors.Join(fmt.Errorf("reviews were cut off after %v: %w", grace, err), srv.Close())
		}
		ended <- err
	}()
	defer back.Close()
	go func() { _ = srv.Serve(back) }()
	if err := srv.Serve(tl); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

// quiet turns the HTTP server's complaints about single connections into log
// lines of the lowest level.
type quiet struct{ log *slog.Logger }

func (q quiet) Write(p []byte) (int, error) {
	q.log.Debug("http", "message", string(p))
	return len(p), nil
}

package authenticator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubecred/kubecred/iammap"
)

// Feed is a source of mappings that may change.
type Feed interface {
	// Name is the source as a person named it.
	Name() string
	// Run calls set with each state of the source, the first as soon as it can,
	// until ctx ends. An error is a state that could not be had.
	Run(ctx context.Context, set func([]*iammap.Source, error))
}

// Mappings hold the current table of all feeds. A table is replaced as a
// whole, so a look-up sees all of a change or nothing of it.
type Mappings struct {
	table atomic.Pointer[iammap.Table]
	feeds []Feed
	log   *slog.Logger
	ready chan struct{} // closed when all feeds have been read
	now   func() time.Time

	mu    sync.Mutex
	parts [][]*iammap.Source // by feed; nil: never read
	state []FeedState

	loads    *prometheus.CounterVec
	entries  *prometheus.GaugeVec
	loadedAt *prometheus.GaugeVec
}

// FeedState is what is known of a feed.
type FeedState struct {
	Name string
	// Loaded is when the state that counts was read; zero for never.
	Loaded time.Time
	// Err says why the last state was not taken, nil where it was.
	Err error
}

// NewMappings returns mappings of the feeds, asked in their order. Nothing is
// read before Run.
func NewMappings(feeds []Feed, log *slog.Logger, reg prometheus.Registerer) *Mappings {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Mappings{feeds: feeds, log: log, now: time.Now, ready: make(chan struct{}), parts: make([][]*iammap.Source, len(feeds)), state: make([]FeedState, len(feeds))}
	for i, f := range feeds {
		m.state[i].Name = f.Name()
	}
	m.loads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "mapping_loads_total", Help: "States of a source of mappings, by what became of them: taken, or kept out because they could not be read whole.",
	}, []string{"source", "outcome"})
	m.entries = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "mapping_entries", Help: "Entries of a source of mappings.",
	}, []string{"source"})
	m.loadedAt = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "mapping_loaded_timestamp_seconds", Help: "When the state that counts was read.",
	}, []string{"source"})
	if reg != nil {
		reg.MustRegister(m.loads, m.entries, m.loadedAt)
	}
	m.table.Store(iammap.NewTable())
	return m
}

// Table is the current table.
func (m *Mappings) Table() *iammap.Table { return m.table.Load() }

// Run feeds the mappings until ctx ends.
func (m *Mappings) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i, f := range m.feeds {
		wg.Go(func() {
			f.Run(ctx, func(s []*iammap.Source, err error) { m.set(i, s, err) })
		})
	}
	wg.Wait()
}

// set takes a state of a feed whole, or keeps it out and says why.
func (m *Mappings) set(i int, sources []*iammap.Source, err error) {
	for _, s := range sources {
		err = errors.Join(err, s.Err())
	}
	name := m.state[i].Name
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.loads.WithLabelValues(name, "kept out").Inc()
		known := m.state[i].Err != nil && m.state[i].Err.Error() == err.Error()
		m.state[i].Err = err
		if !known {
			m.log.Error("mappings kept out", "source", name, "reason", err.Error(), "inUse", m.inUse(i))
		}
		return
	}
	if sources == nil {
		sources = []*iammap.Source{}
	}
	m.parts[i] = sources
	m.state[i].Err, m.state[i].Loaded = nil, m.now()
	var all []*iammap.Source
	for _, p := range m.parts {
		all = append(all, p...)
	}
	m.table.Store(iammap.NewTable(all...))
	n, faults := 0, 0
	for _, s := range sources {
		n += len(s.Entries)
		faults += len(s.Faults)
		for _, f := range s.Faults {
			m.log.Warn("mapping with a fault", "code", f.Code, "subject", f.Subject, "reason", f.Message, "at", fmt.Sprintf("%s:%d", f.Where.File, f.Where.Line))
		}
	}
	m.loads.WithLabelValues(name, "taken").Inc()
	m.entries.WithLabelValues(name).Set(float64(n))
	m.loadedAt.WithLabelValues(name).Set(float64(m.now().Unix()))
	m.log.Info("mappings loaded", "source", name, "entries", n, "faults", faults)
	select {
	case <-m.ready:
	default:
		if !slices.ContainsFunc(m.state, func(s FeedState) bool { return s.Loaded.IsZero() }) {
			close(m.ready)
		}
	}
}

// Wait waits until every feed has been read whole, or ctx ends.
func (m *Mappings) Wait(ctx context.Context) {
	if len(m.feeds) == 0 {
		return
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
	}
}

func (m *Mappings) inUse(i int) string {
	if m.parts[i] == nil {
		return "nothing of this source"
	}
	return "the state of " + m.state[i].Loaded.UTC().Format(time.RFC3339)
}

// State tells how the feeds are.
func (m *Mappings) State() []FeedState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]FeedState(nil), m.state...)
}

// Ready returns nil once every feed has been read whole at least once, else
// what is missing.
func (m *Mappings) Ready() error {
	var errs []error
	for _, s := range m.State() {
		if s.Loaded.IsZero() {
			why := "not read yet"
			if s.Err != nil {
				why = s.Err.Error()
			}
			errs = append(errs, fmt.Errorf("mappings of %s: %s", s.Name, why))
		}
	}
	return errors.Join(errs...)
}

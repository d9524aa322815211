package authenticator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubecred/kubecred/ekstoken/verify"
)

// Results of reviews, by which metrics and logs name them.
const (
	resultAuthenticated = "authenticated"
	resultBadRequest    = "bad_request"
	resultMalformed     = string(verify.Malformed)
	resultExpired       = string(verify.Expired)
	resultRefused       = string(verify.Refused)
	resultThrottled     = string(verify.Throttled)
	resultUnavailable   = string(verify.Unavailable)
	resultUnmapped      = "unmapped"
	resultForbidden     = "forbidden" // mapped, and refused all the same
)

// metrics are those of one handler.
type metrics struct {
	reviews map[string]prometheus.Observer
	calls   *prometheus.HistogramVec
}

const namespace = "kubecred_authenticator"

// buckets reach from a cached answer to STS's timeout.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(reg prometheus.Registerer, h *Handler) *metrics {
	reviews := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "review_seconds", Buckets: buckets,
		Help: "Time that reviews took, by result.",
	}, []string{"result"})
	m := &metrics{
		reviews: map[string]prometheus.Observer{},
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "sts_seconds", Buckets: buckets,
			Help: "Time that calls of STS took, by endpoint and outcome; 'not asked' are those that a limit or a breaker stopped.",
		}, []string{"endpoint", "outcome"}),
	}
	for _, r := range []string{
		resultAuthenticated, resultBadRequest, resultMalformed, resultExpired, resultRefused,
		resultThrottled, resultUnavailable, resultUnmapped, resultForbidden,
	} {
		m.reviews[r] = reviews.WithLabelValues(r)
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(reviews, m.calls,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "cached_tokens", Help: "Tokens whose identity is remembered.",
		}, func() float64 { return float64(h.good.len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "open_breakers", Help: "STS endpoints that are not asked freely because they did not answer.",
		}, func() float64 { return float64(len(h.Notes())) }),
		endpointsUp{h},
	)
	return m
}

func (m *metrics) done(result string, took time.Duration) {
	if o, ok := m.reviews[result]; ok {
		o.Observe(took.Seconds())
	}
}

func (m *metrics) sts(endpoint, outcome string, took time.Duration) {
	m.calls.WithLabelValues(endpoint, outcome).Observe(took.Seconds())
}

// endpointsUp tells of each STS endpoint that was asked whether it answers.
type endpointsUp struct{ h *Handler }

var endpointUp = prometheus.NewDesc(namespace+"_sts_up", "Whether an STS endpoint answers: 0 while it is asked only now and then.", []string{"endpoint"}, nil)

func (e endpointsUp) Describe(out chan<- *prometheus.Desc) { out <- endpointUp }

func (e endpointsUp) Collect(out chan<- prometheus.Metric) {
	for host, why := range e.h.endpoints() {
		up := 1.0
		if why != "" {
			up = 0
		}
		out <- prometheus.MustNewConstMetric(endpointUp, prometheus.GaugeValue, up, host)
	}
}

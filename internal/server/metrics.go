package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jetonhq/jeton/internal/notify"
)

// metrics are this server's own: there is no global registry.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	group    prometheus.Histogram
	commits  prometheus.Histogram
	swept    *prometheus.CounterVec
	sent     *prometheus.CounterVec
	calls    *prometheus.HistogramVec // of Redis
	failed   *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jeton_http_request_seconds", Help: "Time to answer a request, by route.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, []string{"route"}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jeton_store_commit_group_size", Help: "Writes that one commit made durable together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jeton_store_commit_seconds", Help: "Time of one durable commit.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_upkeep_removed_total", Help: "Expired rows that upkeep removed, by kind.",
		}, []string{"kind"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_deliveries_total", Help: "Attempts to deliver, by channel and outcome: delivered, retried (failed, to be tried again) or failed (given up).",
		}, []string{"channel", "outcome"}),
	}
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "jeton_registry_call_seconds", Help: "Time of one exchange with Redis, by what it was for.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
	}, []string{"call"})
	m.failed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jeton_registry_failures_total", Help: "Exchanges with Redis that failed, by what they were for.",
	}, []string{"call"})
	m.registry.MustRegister(m.requests, m.duration, m.group, m.commits, m.swept, m.sent, m.calls, m.failed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request counts one answer.
func (m *metrics) request(r *http.Request, status int, took time.Duration) {
	m.requests.WithLabelValues(route(r), strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route(r)).Observe(took.Seconds())
}

// route is the pattern that matched, so that there are few whatever paths are asked
// for.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

func (m *metrics) commit(ops int, took time.Duration) {
	m.group.Observe(float64(ops))
	m.commits.Observe(took.Seconds())
}

// call counts an exchange with Redis.
func (m *metrics) call(what string, took time.Duration, err error) {
	m.calls.WithLabelValues(what).Observe(took.Seconds())
	if err != nil {
		m.failed.WithLabelValues(what).Inc()
	}
}

func (m *metrics) delivery(channel string, outcome notify.Outcome) {
	m.sent.WithLabelValues(channel, string(outcome)).Inc()
}

// watch registers the gauges that are read from the running parts.
func (m *metrics) watch(s *Server) {
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("jeton_feed_subscribers", "Guards that follow the feed on this node.", func() float64 { return float64(s.feed.Stats().Subscribers) })
	gauge("jeton_feed_lag_seconds", "How long ago this node last knew its view of the log to be complete.", func() float64 { return s.feed.Stats().Lag.Seconds() })
	gauge("jeton_feed_view_entries", "Dead ids in this node's view.", func() float64 { return float64(s.feed.Stats().Held) })
	gauge("jeton_feed_seq", "Last entry of the revocation log that this node has applied.", func() float64 { return float64(s.feed.Stats().Seq) })
	m.registry.MustRegister(waiting{s}, keeping{s}, listening{s})
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jeton_feed_entries_total", Help: "Log entries applied since start."},
			func() float64 { return float64(s.feed.Stats().Entries) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jeton_feed_bytes_total", Help: "Bytes handed to feed subscribers since start."},
			func() float64 { return float64(s.feed.Stats().Bytes) }))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

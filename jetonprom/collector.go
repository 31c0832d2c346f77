// Package jetonprom shows a guard of package jeton to Prometheus.
//
//	metrics := jetonprom.New("reports")
//	guard, err := jeton.NewGuard(jeton.Config{…, Observer: metrics})
//	metrics.Follow(guard)
//	prometheus.MustRegister(metrics)
//
// It is a package of its own so that the guard needs no other module.
package jetonprom

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jetonhq/jeton"
	"github.com/jetonhq/jeton/revocation"
)

// Metrics observes one guard and is a prometheus.Collector.
type Metrics struct {
	checks   *prometheus.CounterVec
	accepted [2]prometheus.Counter // not seen before, seen
	changes  *prometheus.CounterVec
	trips    *prometheus.HistogramVec
	failed   prometheus.Observer
	answered prometheus.Observer
	batch    prometheus.Histogram

	guard  atomic.Pointer[jeton.Guard]
	gauges []gauge
}

// gauge is a number of jeton.Stats.
type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*jeton.Stats) float64
}

var (
	_ jeton.Observer       = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// New returns the metrics for one guard. name tells the guards of a program apart, in the label "guard".
func New(name string) *Metrics {
	labels := prometheus.Labels{"guard": name}
	m := &Metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_guard_checks_total", ConstLabels: labels,
			Help: "Checks, by the reason of the refusal (empty: accepted) and whether the token had been seen before.",
		}, []string{"reason", "seen"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_guard_feed_changes_total", ConstLabels: labels,
			Help: "Changes of the feed's state, by the state entered.",
		}, []string{"state"}),
		trips: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jeton_guard_registry_seconds", ConstLabels: labels,
			Help:    "Round trips to the authority's registry, by outcome.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
		}, []string{"outcome"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jeton_guard_registry_tokens", ConstLabels: labels,
			Help:    "Tokens asked about in one round trip.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
	}
	m.accepted = [2]prometheus.Counter{m.checks.WithLabelValues("", "false"), m.checks.WithLabelValues("", "true")}
	m.answered, m.failed = m.trips.WithLabelValues("answered"), m.trips.WithLabelValues("failed")
	add := func(kind prometheus.ValueType, name, help string, of func(*jeton.Stats) float64) {
		m.gauges = append(m.gauges, gauge{prometheus.NewDesc("jeton_guard_"+name, help, nil, labels), kind, of})
	}
	add(prometheus.GaugeValue, "full", "1 if the guard knows what was revoked, 0 if it works on signatures alone.",
		func(s *jeton.Stats) float64 { return number(s.Mode == jeton.Full) })
	add(prometheus.GaugeValue, "ready", "1 if the guard can decide about any token without the authority.",
		func(s *jeton.Stats) float64 { return number(s.Ready) })
	add(prometheus.GaugeValue, "stale", "1 if the view of what was revoked is not trusted.",
		func(s *jeton.Stats) float64 { return number(s.Stale) })
	add(prometheus.GaugeValue, "feed_lag_seconds", "Time since the feed last proved the view complete.",
		func(s *jeton.Stats) float64 { return s.Lag.Seconds() })
	add(prometheus.GaugeValue, "view_entries", "Revoked tokens, grants, sessions and keys in the view.",
		func(s *jeton.Stats) float64 { return float64(s.ViewEntries) })
	add(prometheus.GaugeValue, "view_bytes", "Memory of the view (estimate).",
		func(s *jeton.Stats) float64 { return float64(s.ViewBytes) })
	add(prometheus.GaugeValue, "seen_tokens", "Verified tokens that are remembered.",
		func(s *jeton.Stats) float64 { return float64(s.SeenTokens) })
	add(prometheus.GaugeValue, "seen_bytes", "Memory of the remembered tokens (estimate).",
		func(s *jeton.Stats) float64 { return float64(s.SeenBytes) })
	add(prometheus.CounterValue, "seen_evicted_total", "Tokens forgotten before they expired, for lack of room.",
		func(s *jeton.Stats) float64 { return float64(s.SeenEvicted) })
	add(prometheus.CounterValue, "first_sights_total", "Tokens that were verified.",
		func(s *jeton.Stats) float64 { return float64(s.FirstSights) })
	add(prometheus.CounterValue, "key_fetches_total", "Fetches of the key set.",
		func(s *jeton.Stats) float64 { return float64(s.KeyFetches) })
	return m
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Follow adds the guard's own numbers to the metrics. It is called once the guard exists.
func (m *Metrics) Follow(g *jeton.Guard) { m.guard.Store(g) }

// Checked implements jeton.Observer.
func (m *Metrics) Checked(reason string, seen bool) {
	switch {
	case reason == "" && seen:
		m.accepted[1].Inc()
	case reason == "":
		m.accepted[0].Inc()
	case seen:
		m.checks.WithLabelValues(reason, "true").Inc()
	default:
		m.checks.WithLabelValues(reason, "false").Inc()
	}
}

// Feed implements jeton.Observer.
func (m *Metrics) Feed(state revocation.State) { m.changes.WithLabelValues(state.String()).Inc() }

// Registry implements jeton.Observer.
func (m *Metrics) Registry(tokens int, took time.Duration, err error) {
	m.batch.Observe(float64(tokens))
	if err != nil {
		m.failed.Observe(took.Seconds())
		return
	}
	m.answered.Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.checks.Describe(ch)
	m.changes.Describe(ch)
	m.trips.Describe(ch)
	m.batch.Describe(ch)
	for _, g := range m.gauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.checks.Collect(ch)
	m.changes.Collect(ch)
	m.trips.Collect(ch)
	m.batch.Collect(ch)
	guard := m.guard.Load()
	if guard == nil {
		return
	}
	stats := guard.Stats()
	for _, g := range m.gauges {
		ch <- prometheus.MustNewConstMetric(g.desc, g.kind, g.of(&stats))
	}
}

package agent

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jetonhq/jeton/jetonprom"
)

// metrics are this agent's own: there is no global registry.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	guard    *jetonprom.Metrics
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_agent_requests_total", Help: "Questions answered, by route and status.",
		}, []string{"route", "status"}),
		guard: jetonprom.New("agent"),
	}
	m.registry.MustRegister(m.requests, m.guard,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

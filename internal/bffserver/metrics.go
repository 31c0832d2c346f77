package bffserver

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jetonhq/jeton/bff"
	"github.com/jetonhq/jeton/internal/answered"
)

// metrics are this process's own: there is no global registry.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
}

func newMetrics(app *bff.App) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jeton_bff_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range []struct {
		name, help string
		count      func(bff.Stats) uint64
	}{
		{"sign_ins", "Sign-ins finished.", func(s bff.Stats) uint64 { return s.SignIns }},
		{"sign_ins_refused", "Sign-ins that came back and were not accepted.", func(s bff.Stats) uint64 { return s.Refused }},
		{"sign_outs", "Sign-outs by people.", func(s bff.Stats) uint64 { return s.SignOuts }},
		{"sessions_ended", "Sessions that the authority ended.", func(s bff.Stats) uint64 { return s.Ended }},
		{"refreshes", "Tokens refreshed.", func(s bff.Stats) uint64 { return s.Refreshes }},
		{"refresh_failures", "Refreshes that failed and may work again.", func(s bff.Stats) uint64 { return s.RefreshFailures }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "jeton_bff_" + c.name + "_total", Help: c.help},
			func() float64 { return float64(c.count(app.Stats())) },
		))
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// counted counts the answers of a route.
func (m *metrics) counted(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &answered.Writer{ResponseWriter: w}
		defer func() { m.requests.WithLabelValues(route, strconv.Itoa(rec.Status)).Inc() }()
		next.ServeHTTP(rec, r)
	})
}

package server

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// nodeName tells this process from all others of the authority, and people which
// machine it is on.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || len(host) > 64 {
		host = "node"
	}
	return host + "-" + secret.Token("").Reveal()[:8]
}

// sweptSlice counts what a slice of upkeep removed.
func (m *metrics) sweptSlice(swept authority.Swept) {
	for kind, n := range map[string]int{
		"token": swept.Tokens, "code": swept.Codes, "grant": swept.Grants, "session": swept.Sessions,
		"log": swept.LogEntries, "delivery": swept.Deliveries, "event": swept.Events, "mark": swept.Marks, "ticket": swept.Tickets,
		"batch": swept.Batches, "note": swept.Notes,
	} {
		m.swept.WithLabelValues(kind).Add(float64(n))
	}
}

// keeping is what upkeep has done and has still to do.
type keeping struct{ s *Server }

var (
	holderDesc  = prometheus.NewDesc("jeton_upkeep_holder", "1 at the node that does upkeep, 0 at the others.", nil, nil)
	ranDesc     = prometheus.NewDesc("jeton_upkeep_last_run_timestamp_seconds", "When upkeep last came to its end, at whichever node; 0 before the first time.", nil, nil)
	backlogDesc = prometheus.NewDesc("jeton_upkeep_backlog", "Rows that upkeep has still to look at, by kind, counted up to 10,000; at the node that does it.", []string{"kind"}, nil)
	overdueDesc = prometheus.NewDesc("jeton_upkeep_oldest_expired_seconds", "How long ago the oldest of them could have been removed; 0 when there is none.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (keeping) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{holderDesc, ranDesc, backlogDesc, overdueDesc} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (k keeping) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	status := k.s.upkeep.Status()
	holds, ran := 0.0, 0.0
	if status.Holds {
		holds = 1
	}
	if at := status.Lease.RanAt; !at.IsZero() {
		ran = float64(at.UnixMilli()) / 1000
	}
	gauge(holderDesc, holds)
	gauge(ranDesc, ran)
	for _, d := range status.Due {
		late := 0.0
		if !d.From.IsZero() {
			late = max(0, k.s.now().Sub(d.From).Seconds())
		}
		gauge(backlogDesc, float64(d.Rows), d.Kind)
		gauge(overdueDesc, late, d.Kind)
	}
}

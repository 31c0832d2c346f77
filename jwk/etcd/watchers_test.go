package etcd_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/jwk"
	"github.com/jetonhq/jeton/jwk/etcd"
)

// BenchmarkFollow is the time from a publication to its use by a hundred watchers.
func BenchmarkFollow(b *testing.B) {
	server := coordtest.Etcd(b)
	const watchers = 100
	arrivals := make(chan time.Time, watchers)
	for range watchers {
		follow(b, etcd.Config{Endpoints: []string{"http://" + server.Address}, OnChange: func(jwk.Publication) { arrivals <- time.Now() }})
	}
	w, k := newWriter(b, server.Address), key(b)
	w.publish(1, k)
	for range watchers {
		<-arrivals
	}
	var all []time.Duration
	version := uint64(1)
	for b.Loop() {
		version++
		w.publish(version, k)
		answered := time.Now()
		for range watchers {
			all = append(all, max(0, (<-arrivals).Sub(answered)))
		}
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

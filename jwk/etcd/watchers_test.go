package etcd_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/coordtest"
	"github.com/jetonhq/jeton/internal/spread"
	"github.com/jetonhq/jeton/jwk"
)

// BenchmarkFollow is the time from a publication to its use by a hundred watchers.
func BenchmarkFollow(b *testing.B) {
	server := coordtest.Etcd(b)
	const watchers = 100
	arrivals := make(chan time.Time, watchers)
	for range watchers {
		kind.Follow(b, coordtest.Options{Address: server.Address, OnChange: func(jwk.Publication) { arrivals <- time.Now() }})
	}
	w, k := kind.Writer(b, server.Address), coordtest.Key(b)
	w.Publish(1, k)
	for range watchers {
		<-arrivals
	}
	var all []time.Duration
	version := uint64(1)
	for b.Loop() {
		version++
		w.Publish(version, k)
		answered := time.Now()
		for range watchers {
			all = append(all, max(0, (<-arrivals).Sub(answered)))
		}
	}
	spread.Of(all).Report(b)
	b.ReportMetric(0, "ns/op")
}

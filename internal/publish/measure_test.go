package publish_test

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/spread"
	"github.com/jetonhq/jeton/jwk"
)

// stage changes the access ring once.
func stage(b *testing.B, n *node) {
	b.Helper()
	staged, err := n.rings.Stage(b.Context(), "access", jwk.ES256, operator)
	must(b, err)
	_, err = n.rings.Activate(b.Context(), staged.ID, true, operator)
	must(b, err)
}

// measure changes something, and takes down how long after the last step of the
// change each of the watchers has it.
func measure(b *testing.B, watchers int, arrivals <-chan time.Time, change func()) {
	b.Helper()
	var all []time.Duration
	for b.Loop() {
		change()
		answered := time.Now()
		// Staging and activation may arrive as one change or as two: the last counts.
		last := make([]time.Time, 0, 2*watchers)
		for len(last) < watchers {
			last = append(last, <-arrivals)
		}
		for quiet := false; !quiet; {
			select {
			case at := <-arrivals:
				last = append(last, at)
			case <-time.After(200 * time.Millisecond):
				quiet = true
			}
		}
		for _, at := range last[len(last)-watchers:] {
			all = append(all, at.Sub(answered))
		}
	}
	spread.Of(all).Report(b)
	b.ReportMetric(0, "ns/op")
}

// Package spread sums up how long something took, each time it was done.
package spread

import (
	"slices"
	"time"
)

// Times are the middle and the end of a number of durations.
type Times struct{ P50, P99, Max time.Duration }

// Of sorts the durations. Of none it is zero.
func Of(took []time.Duration) Times {
	if len(took) == 0 {
		return Times{}
	}
	slices.Sort(took)
	return Times{P50: took[len(took)/2], P99: took[len(took)*99/100], Max: took[len(took)-1]}
}

// Report adds the times to the line of a benchmark.
func (t Times) Report(b interface{ ReportMetric(n float64, unit string) }) {
	b.ReportMetric(milliseconds(t.P50), "p50-ms")
	b.ReportMetric(milliseconds(t.P99), "p99-ms")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

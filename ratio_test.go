package jeton

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jetonhq/jeton/jwt"
)

// BenchmarkRatio says how many decisions about seen tokens one bare ES256 verification pays for. What is
// compared takes turns of a millisecond or so, and each is given its best tenth: on a busy machine a
// comparison of two benchmarks that ran one after the other says little.
func BenchmarkRatio(b *testing.B) {
	a, g := benchGuard(b)
	ctx := context.Background()
	u, err := jwt.Parse(a.mint(), 0)
	if err != nil {
		b.Fatal(err)
	}
	public := a.key.Public()
	many := plant(b, a, g, 1_000_000)
	hot := many[:1000]
	decide := func(token string) {
		if _, err := g.Check(ctx, token, Scope("reports:read")); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	// A server has just read the token it asks about, so it is near; the copy it is held against is not.
	arrived := make([]string, 250)
	kinds := []struct {
		name string
		n    int // in a turn
		one  func()
	}{
		{"raw", 10, func() {
			if err := u.CheckSignature(public); err != nil {
				b.Fatal(err)
			}
		}},
		{"hot", 4000, func() { i++; decide(hot[i%len(hot)]) }},
		{"1M", 250, func() { i++; decide(arrived[i%len(arrived)]) }},
	}
	turns := make([][]float64, len(kinds))
	for b.Loop() {
		for k := range arrived {
			arrived[k] = strings.Clone(many[rand.IntN(len(many))])
		}
		for k := range kinds {
			if kinds[k].name == "hot" { // what others did must not have made it cold
				for range len(hot) {
					kinds[k].one()
				}
			}
			began := time.Now()
			for range kinds[k].n {
				kinds[k].one()
			}
			turns[k] = append(turns[k], float64(time.Since(began))/float64(kinds[k].n))
		}
	}
	best := func(k int) float64 {
		slices.Sort(turns[k])
		return turns[k][len(turns[k])/10]
	}
	for k := range kinds {
		b.ReportMetric(best(k), kinds[k].name+"-ns")
	}
	b.ReportMetric(best(0)/best(1), "x-hot")
	b.ReportMetric(best(0)/best(2), "x-1M")
	b.ReportMetric(0, "ns/op")
}

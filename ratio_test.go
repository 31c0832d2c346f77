package jeton

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// BenchmarkHandlerRatio says what part of a handler's requests per second it reaches behind the guard, in
// turns as above: eight clients on loopback, the same requests for both.
func BenchmarkHandlerRatio(b *testing.B) {
	a, g := benchGuard(b)
	hot := plant(b, a, g, 1000)
	body := []byte(`{"reports":[{"id":1,"title":"first quarter"},{"id":2,"title":"second quarter"}]}`)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	turn := func(url string) float64 {
		const clients, each = 8, 25
		var work sync.WaitGroup
		began := time.Now()
		for range clients {
			work.Go(func() {
				for range each {
					r, err := http.NewRequest(http.MethodGet, url, nil)
					if err != nil {
						b.Error(err)
						return
					}
					r.Header["Authorization"] = []string{"Bearer " + hot[rand.IntN(len(hot))]}
					resp, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Error(resp.Status)
						return
					}
				}
			})
		}
		work.Wait()
		return float64(time.Since(began)) / (clients * each)
	}
	servers := []*httptest.Server{httptest.NewServer(bare), httptest.NewServer(g.Require(bare, Scope("reports:read")))}
	turns := make([][]float64, len(servers))
	for b.Loop() {
		for i, server := range servers {
			turns[i] = append(turns[i], turn(server.URL))
		}
	}
	for i, server := range servers {
		server.Close()
		slices.Sort(turns[i])
	}
	without, with := turns[0][len(turns[0])/10], turns[1][len(turns[1])/10]
	b.ReportMetric(without, "bare-ns")
	b.ReportMetric(with, "guarded-ns")
	b.ReportMetric(100*without/with, "%-of-bare")
	b.ReportMetric(0, "ns/op")
}

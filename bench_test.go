package jeton

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/seen"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// benchGuard is a guard with a view that is fresh and holds 100,000 revoked tokens.
func benchGuard(b *testing.B) (*fakeAuthority, *Guard) {
	a := newFakeAuthority(b)
	until := time.Now().Add(time.Hour).Unix()
	for i := range 100_000 {
		id, _ := revocation.ParseID(newID())
		a.log = append(a.log, revocation.Entry{Seq: uint64(i + 1), Kind: revocation.Token, ID: id, Until: until})
	}
	g := a.guard(func(c *Config) { c.Cache = Cache{Entries: 2_000_000, Bytes: 4 << 30} })
	b.Cleanup(func() { _ = g.Close() })
	for !g.Ready() {
		time.Sleep(time.Millisecond)
	}
	return a, g
}

// plant puts tokens into the cache as a check would leave them. Only their signatures are not real: a million
// of those would take longer than the benchmark.
func plant(b *testing.B, a *fakeAuthority, g *Guard, n int) []string {
	b.Helper()
	model := a.mint()
	v, err := g.verifier.Verify(context.Background(), model)
	if err != nil {
		b.Fatal(err)
	}
	tokens := make([]string, n)
	epoch, asked := g.view.Epoch(), g.mark(g.clock.now().time)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range tokens {
		text := []byte(model)
		for j := 1; j < 400; j += 8 {
			for k, bits := 0, rand.Uint64(); k < 8; k, bits = k+1, bits>>8 {
				text[len(text)-j-k] = alphabet[bits&63]
			}
		}
		tokens[i] = string(text)
		expires := time.Now().Add(time.Hour).Unix()
		e := g.seen.Put(seen.Item[record]{
			Token: tokens[i], Tail: texts(&v.Claims), Expires: expires, Epoch: epoch,
			Fill: func(e *seen.Entry[record], tail string) {
				e.Value.fill(v, e.Text(), tail)
				e.Value.names, _ = namesOf(&v.Claims)
				e.Value.expiresAt = expires
			},
		}, time.Now().Unix())
		e.SetAsked(asked)
	}
	return tokens
}

// BenchmarkCheck holds the whole decision about a token against the bare signature check.
func BenchmarkCheck(b *testing.B) {
	a, g := benchGuard(b)
	ctx := context.Background()

	b.Run("raw-ES256", func(b *testing.B) {
		u, err := jwt.Parse(a.mint(), 0)
		if err != nil {
			b.Fatal(err)
		}
		public := a.key.Public()
		for b.Loop() {
			if err := u.CheckSignature(public); err != nil {
				b.Fatal(err)
			}
		}
	})
	decide := func(b *testing.B, g *Guard, token string) {
		if _, err := g.Check(ctx, token, Scope("reports:read"), MaxAge(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	hot := plant(b, a, g, 1000)
	b.Run("seen-hot-1000", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			decide(b, g, hot[i%len(hot)])
		}
	})
	b.Run("seen-hot-1000-parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(1000); pb.Next(); i++ {
				decide(b, g, hot[i%len(hot)])
			}
		})
	})
	b.Run("first-sight", func(b *testing.B) {
		tokens := make([]string, 2000)
		for i := range tokens {
			tokens[i] = a.mint()
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			token := tokens[i%len(tokens)]
			if e := g.seen.Get(token, 0); e != nil {
				g.seen.Drop(e)
			}
			if _, err := g.Check(ctx, token, Scope("reports:read"), SkipRegistry()); err != nil {
				b.Fatal(err)
			}
		}
	})

	// Only when it is among the benchmarks asked for.
	many := sync.OnceValues(func() ([]string, float64) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		tokens := plant(b, a, g, 1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		// The list of tokens is the benchmark's own.
		own := float64(len(tokens) * (16 + sizeClass(len(tokens[0]))))
		return tokens, (float64(after.HeapAlloc-before.HeapAlloc) - own) / float64(len(tokens))
	})
	b.Run("seen-1M-random", func(b *testing.B) {
		tokens, perToken := many()
		b.ReportAllocs()
		for b.Loop() {
			decide(b, g, tokens[rand.IntN(len(tokens))])
		}
		b.ReportMetric(perToken, "B/token")
		b.ReportMetric(float64(len(tokens[0])), "B/token-text")
	})
	b.Run("seen-1M-random-parallel", func(b *testing.B) {
		tokens, _ := many()
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				decide(b, g, tokens[rand.IntN(len(tokens))])
			}
		})
	})
}

// sizeClass is what the allocator gives for n bytes.
func sizeClass(n int) int { return cap(append([]byte(nil), make([]byte, n)...)) }

// BenchmarkHandler compares a handler with itself behind the guard.
func BenchmarkHandler(b *testing.B) {
	a, g := benchGuard(b)
	body := []byte(`{"reports":[{"id":1,"title":"first quarter"},{"id":2,"title":"second quarter"}]}`)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	guarded := g.Require(bare, Scope("reports:read"), MaxAge(time.Hour))
	hot := plant(b, a, g, 1000)
	for _, test := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"guarded", guarded}} {
		b.Run(test.name, func(b *testing.B) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			transport := &http.Transport{MaxIdleConnsPerHost: 64}
			client := &http.Client{Transport: transport}
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(1000); pb.Next(); i++ {
					r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
					r.Header["Authorization"] = []string{"Bearer " + hot[i%len(hot)]}
					resp, err := client.Do(r)
					if err != nil {
						b.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Fatal(resp.Status)
					}
				}
			})
			b.StopTimer()
			transport.CloseIdleConnections()
		})
	}
	// Without client and network: what the guard itself adds to a request.
	for _, test := range []struct {
		name    string
		handler http.Handler
	}{{"alone-bare", bare}, {"alone-guarded", guarded}} {
		b.Run(test.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Header["Authorization"] = []string{"Bearer " + hot[i%len(hot)]}
				test.handler.ServeHTTP(discard{make(http.Header)}, r)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

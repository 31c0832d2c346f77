package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
	"github.com/jetonhq/jeton/internal/spread"
)

func openTest(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "jeton.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func event(now time.Time) authority.Event {
	return authority.Event{ID: secret.NewID(now), Type: authority.EventGrantCreated, Actor: authority.System}
}

// standingGrants makes n live grants, each of a client of its own.
func standingGrants(t testing.TB, s *Store, n int) []authority.Grant {
	t.Helper()
	now := time.Now()
	grants := make([]authority.Grant, n)
	for i := range grants {
		g := authority.Grant{
			ID: secret.NewID(now), Type: standing, ClientID: fmt.Sprintf("client-%d", i),
			Scope: []string{"reports:read"}, Audience: []string{"https://api.example.com"},
			CreatedAt: now, LastUsed: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
		}
		open, err := s.OpenStanding(t.Context(), g, event(now))
		if err != nil {
			t.Fatal(err)
		}
		grants[i] = open
	}
	return grants
}

func newToken(grant secret.ID, now time.Time, life time.Duration) authority.Token {
	id := secret.NewID(now)
	return authority.Token{ID: id, GrantID: grant, Digest: secret.ShortDigest(id.String()), ExpiresAt: now.Add(life)}
}

// concurrently runs b.N calls from a number of callers and reports the rate and
// the tail of their latency.
func concurrently(b *testing.B, callers int, call func(caller int) error) {
	b.Helper()
	var next atomic.Int64
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	b.ResetTimer()
	for caller := range callers {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				start := time.Now()
				if err := call(caller); err != nil {
					b.Error(err)
					return
				}
				took[caller] = append(took[caller], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	spread.Of(slices.Concat(took...)).Report(b)
}

func BenchmarkIssue(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := openTest(b)
			grants := standingGrants(b, s, 1000)
			var n atomic.Int64
			concurrently(b, callers, func(int) error {
				now := time.Now()
				grant := grants[n.Add(1)%int64(len(grants))].ID
				return s.Issue(context.Background(), authority.Issue{Token: newToken(grant, now, 5*time.Minute), Now: now})
			})
		})
	}
}

func BenchmarkRotate(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := openTest(b)
			grants := standingGrants(b, s, 64*100)
			generation := make([]uint32, len(grants))
			used := make([]int, callers)
			concurrently(b, callers, func(caller int) error {
				now := time.Now()
				i := caller*100 + used[caller]%100
				used[caller]++
				from := generation[i]
				generation[i]++
				return s.Rotate(context.Background(), authority.Rotation{
					Grant: grants[i].ID, From: from, RefreshKey: "key", Token: newToken(grants[i].ID, now, 5*time.Minute),
					Now: now, IdleUntil: now.Add(time.Hour),
				})
			})
		})
	}
}

// registered fills the registry with n tokens.
func registered(b *testing.B, s *Store, n int) []secret.ID {
	b.Helper()
	grants := standingGrants(b, s, 1000)
	ids := make([]secret.ID, n)
	var wg sync.WaitGroup
	for caller := range 64 {
		wg.Go(func() {
			for i := caller; i < n; i += 64 {
				now := time.Now()
				v := newToken(grants[i%1000].ID, now, time.Hour)
				if err := s.Issue(context.Background(), authority.Issue{Token: v, Now: now}); err != nil {
					b.Error(err)
					return
				}
				ids[i] = v.ID
			}
		})
	}
	wg.Wait()
	return ids
}

func BenchmarkTokens(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := openTest(b)
			ids := registered(b, s, 100_000)
			var n atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(7919)) % (len(ids) - size)
					found, err := s.Tokens(context.Background(), ids[i:i+size])
					if err != nil || len(found) != size {
						b.Errorf("found %d of %d: %v", len(found), size, err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkGrant(b *testing.B) {
	s := openTest(b)
	grants := standingGrants(b, s, 1000)
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Grant(context.Background(), grants[n.Add(1)%1000].ID); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

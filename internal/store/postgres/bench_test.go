package postgres

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/pgtest"
	"github.com/jetonhq/jeton/internal/secret"
)

// BenchmarkIssue registers tokens for 64 callers, each waiting for its commit to be
// on disk: gathered as the server does it, and each call in a commit of its own,
// as many at once as there are connections.
func BenchmarkIssue(b *testing.B) {
	db := pgtest.Own(b, "fsync=on")
	for _, gathered := range []bool{true, false} {
		name := "alone"
		if gathered {
			name = "gathered"
		}
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.Context(), Config{URL: db.Database(b)})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if !gathered {
				s.registrations.batch, s.registrations.limit, s.registrations.crowd = 1, DefaultMaxConns, 0
			}
			now := time.Now()
			grant := standingGrant(b, s, now)
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					v := authority.Token{ID: secret.NewID(now), GrantID: grant, ExpiresAt: now.Add(time.Hour)}
					if err := s.Issue(b.Context(), authority.Issue{Token: v, Now: now}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

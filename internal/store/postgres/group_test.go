package postgres

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// TestGroup_StuckBatch holds the row of a grant, so that the batch with its refresh
// waits: others must not wait for that batch.
func TestGroup_StuckBatch(t *testing.T) {
	s := openInner(t)
	now := time.Now()
	rotate := func(grant secret.ID) error {
		return s.Rotate(t.Context(), authority.Rotation{
			Grant: grant, Token: authority.Token{ID: secret.NewID(now), ExpiresAt: now.Add(time.Hour)}, Now: now, IdleUntil: now.Add(time.Hour),
		})
	}
	held, free := liveGrant(t, s, now), liveGrant(t, s, now)
	holder, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), sqlLockGrants, byteList([]secret.ID{held})); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- rotate(held) }()
	for waits := false; !waits; {
		if err := s.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := rotate(free); err != nil {
		t.Errorf("beside a batch that is stuck: %v", err)
	}
	select {
	case err := <-answered:
		t.Errorf("got %v for a grant whose row is held", err)
	default:
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func liveGrant(t *testing.T, s *Store, now time.Time) secret.ID {
	t.Helper()
	g := authority.Grant{ID: secret.NewID(now), Type: "authorization_code", ClientID: "app", CreatedAt: now,
		IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
	if err := s.record(t.Context(), "grant", func(t *tx) error { return insertGrant(t, g, secret.ID{}) }); err != nil {
		t.Fatal(err)
	}
	return g.ID
}

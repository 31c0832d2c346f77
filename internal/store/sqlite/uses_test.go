package sqlite

import (
	"testing"
	"time"

	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/internal/secret"
)

// The ids of counted uses do not outlive their token, however it goes.
func TestUses_GoWithTheToken(t *testing.T) {
	s := openTest(t)
	now := time.Now().Truncate(time.Second)
	g := authority.Grant{ID: secret.NewID(now), Type: "client_credentials", ClientID: "robot", CreatedAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)}
	if _, err := s.OpenStanding(t.Context(), g, authority.Event{ID: secret.NewID(now)}); err != nil {
		t.Fatal(err)
	}
	var tokens []authority.Token
	for range 3 {
		uses := int64(5)
		id := secret.NewID(now)
		v := authority.Token{ID: id, GrantID: g.ID, Digest: secret.ShortDigest(id.String()), ExpiresAt: now.Add(time.Minute), Uses: &uses}
		if err := s.Issue(t.Context(), authority.Issue{Token: v, Now: now}); err != nil {
			t.Fatal(err)
		}
		use := authority.Use{Token: v.ID, Digest: v.Digest, Request: [16]byte(secret.Bytes(16))}
		if outcomes, err := s.Consume(t.Context(), []authority.Use{use}, now); err != nil || outcomes[0] != nil {
			t.Fatal(outcomes, err)
		}
		tokens = append(tokens, v)
	}
	wantRows := func(what string, want int) {
		t.Helper()
		var got int
		if err := s.reads.QueryRow("SELECT count(*) FROM uses").Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %d rows (%v), want %d", what, got, err, want)
		}
	}
	wantRows("used", 3)
	_, err := s.Revoke(t.Context(), authority.Revocation{Token: &tokens[1], Reason: "test", Now: now, Until: now.Add(time.Minute), Event: authority.Event{ID: secret.NewID(now)}})
	if err != nil {
		t.Fatal(err)
	}
	wantRows("revoked", 2)
	if _, err := s.Sweep(t.Context(), now.Add(2*time.Minute), 0, 10); err != nil {
		t.Fatal(err)
	}
	wantRows("swept", 0)
}

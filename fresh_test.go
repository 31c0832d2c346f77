package jeton

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// stale has the feed tell that a token's grant needs a version.
func (a *fakeAuthority) stale(token, data string) {
	id, err := revocation.ParseID(claimsOf(a.t, token).GrantID)
	if err != nil {
		a.t.Fatal(err)
	}
	a.append(revocation.Entry{Kind: revocation.GrantStale, ID: id, Data: json.RawMessage(data)})
	synctest.Wait()
}

func TestFreshClaims(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		version := func(n int64) func(*jwt.Claims) { return func(c *jwt.Claims) { c.Version = n } }
		old, other := a.mint(version(1)), a.mint(version(1))
		gid := claimsOf(t, old).GrantID
		of := func(c *jwt.Claims) { c.GrantID = gid }
		refreshed, without := a.mint(version(2), of), a.mint(of)
		want := func(what, token, want string, demands ...Demand) {
			t.Helper()
			for range 2 {
				if got := check(t, g, token, demands...); got != want {
					t.Errorf("%s: got %q, want %q", what, got, want)
				}
			}
		}
		want("before", old, "", FreshClaims())
		a.stale(old, `{"ver":2}`)
		want("a route that asks", old, ReasonRefreshNeeded, FreshClaims())
		want("a route that does not", old, "")
		want("refreshed", refreshed, "", FreshClaims())
		want("another grant", other, "", FreshClaims())
		want("a token that does not say", without, ReasonRefreshNeeded, FreshClaims())
		a.stale(old, `{"ver":1}`) // never back
		a.stale(old, `{}`)
		a.stale(old, `null`)
		want("after an older entry", old, ReasonRefreshNeeded, FreshClaims())
		a.stale(old, `{"ver":3}`)
		want("changed again", refreshed, ReasonRefreshNeeded, FreshClaims())
		a.demand("fresh", "", "/", `{"fresh_claims":true}`)
		want("by policy", old, ReasonRefreshNeeded)

		late, err := NewGuard(g.config)
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		synctest.Wait()
		if got := check(t, late, refreshed, FreshClaims()); got != ReasonRefreshNeeded {
			t.Errorf("a guard that starts later: %q", got)
		}
	})
}

// What is known of grants is bounded by how long their tokens can live.
func TestFreshClaims_ForgetsWhatHasExpired(t *testing.T) {
	var s staleGrants
	now := time.Now().Unix()
	for i := range 100_000 {
		var id revocation.ID
		id[0], id[1], id[2], id[15] = byte(i), byte(i>>8), byte(i>>16), 1
		at := now + int64(i) // one each second, kept for an hour
		s.add(revocation.Entry{ID: id, Data: json.RawMessage(`{"ver":2}`), Until: at + 3600}, at)
	}
	if n := s.size.Load(); n > 3*3700 {
		t.Errorf("%d entries are held", n)
	}
}

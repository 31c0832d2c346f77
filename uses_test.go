package jeton

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// serveConsume counts, and then loses the answer if it is told to.
func (a *fakeAuthority) serveConsume(r *http.Request) (*http.Response, error) {
	var q revocation.Consumption
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.consumed = append(a.consumed, len(q.Uses))
	reply := revocation.Answer{Verdicts: make([]string, len(q.Uses))}
	for i, u := range q.Uses {
		switch {
		case a.issued[u.ID] != u.Digest:
			reply.Verdicts[i] = ReasonUnknownToken
		case a.dead[u.ID] != "":
			reply.Verdicts[i] = a.dead[u.ID]
		case a.counted[u]:
		case a.uses[u.ID] == 0:
			reply.Verdicts[i] = ReasonNoUsesLeft
		default:
			a.uses[u.ID]--
			a.counted[u] = true
		}
	}
	if a.lose > 0 {
		a.lose--
		return nil, errors.New("connection reset")
	}
	body, err := json.Marshal(reply)
	return answer(http.StatusOK, "application/json", body), err
}

func uses(n int64) func(*jwt.Claims) { return func(c *jwt.Claims) { c.Uses = n } }

func TestUses_CountedWheneverCarried(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(3))
		for i, want := range []string{"", "", "", ReasonNoUsesLeft, ReasonNoUsesLeft} {
			if got := check(t, g, token); got != want {
				t.Errorf("use %d: %q, want %q", i+1, got, want)
			}
		}
		time.Sleep(10 * time.Second) // the refusal is not remembered any more
		if got, want := check(t, g, token), ReasonNoUsesLeft; got != want {
			t.Errorf("later: %q, want %q", got, want)
		}
	})
}

func TestUses_Demands(t *testing.T) {
	tests := []struct {
		name   string
		uses   int64
		demand []Demand
		want   string
	}{
		{"free token, free route", 0, nil, ""},
		{"free token where uses are counted", 0, []Demand{Uses()}, ReasonNotSingleUse},
		{"free token where one use is demanded", 0, []Demand{SingleUse()}, ReasonNotSingleUse},
		{"ten uses where uses are counted", 10, []Demand{Uses()}, ""},
		{"ten uses where one is demanded", 10, []Demand{SingleUse()}, ReasonNotSingleUse},
		{"ten uses where both are demanded", 10, []Demand{SingleUse(), Uses()}, ReasonNotSingleUse},
		{"one use where one is demanded", 1, []Demand{SingleUse()}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
				token := a.mint(uses(test.uses))
				if got := check(t, g, token, test.demand...); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// A request that is refused for anything else burns no use.
func TestUses_RefusalsBurnNone(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(1), func(c *jwt.Claims) { c.Method = http.MethodPost })
		check(t, g, token, Scope("admin"))
		check(t, g, token) // no method to compare
		check(t, g, token, Clients("cli"))
		if len(a.consumed) != 0 {
			t.Errorf("%d questions about uses, want none", len(a.consumed))
		}
	})
}

func TestUses_LostAnswerBurnsOne(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(2))
		a.change(func() { a.lose = useTries - 1 })
		for i, want := range []string{"", "", ReasonNoUsesLeft} {
			if got := check(t, g, token); got != want {
				t.Errorf("use %d: %q, want %q", i+1, got, want)
			}
		}
		if got, want := len(a.consumed), 3+useTries-1; got != want {
			t.Errorf("%d questions, want %d", got, want)
		}
	})
}

// Uses never fail open.
func TestUses_AuthorityDown(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(5))
		if got := check(t, g, token); got != "" {
			t.Fatal(got)
		}
		a.setDown(true)
		for range 3 {
			if got, want := check(t, g, token, Fail(Open), SkipRegistry()), ReasonAuthorityUnavailable; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		a.setDown(false)
		time.Sleep(5 * time.Second)
		if got := check(t, g, token, Fail(Open)); got != "" {
			t.Errorf("after the outage: %q", got)
		}
		if got, want := a.uses[idOf(t, token)], int64(3); got != want {
			t.Errorf("%d uses left, want %d", got, want)
		}
	})
}

func TestUses_WithoutCredentials(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		if got, want := check(t, g, a.mint(uses(5))), ReasonUnsupported; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}, func(c *Config) { c.Client = Credential{} })
}

func TestUses_RevokedWhileSeen(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(5))
		if got := check(t, g, token); got != "" {
			t.Fatal(got)
		}
		a.change(func() { a.dead[idOf(t, token)] = ReasonRevoked }) // the feed has not told yet
		if got, want := check(t, g, token), ReasonRevoked; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Uses that come at the same time travel together.
func TestUses_Batched(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(10))
		var accepted atomic.Int64
		var work sync.WaitGroup
		use := func() {
			if _, err := g.Check(context.Background(), token); err == nil {
				accepted.Add(1)
			}
		}
		use()
		synctest.Wait()     // its round trip has landed
		g.counter.mu.Lock() // as if all round trips were under way
		g.counter.flying = maxTrips
		g.counter.mu.Unlock()
		for range 599 {
			work.Go(use)
		}
		synctest.Wait() // everybody waits
		for range maxTrips {
			g.counter.work.Go(g.counter.fly)
		}
		work.Wait()
		if got := accepted.Load(); got != 10 {
			t.Errorf("%d uses, want 10", got)
		}
		if got, most := len(a.consumed), 1+(599+revocation.MaxUses-1)/revocation.MaxUses; got > most {
			t.Errorf("%d round trips for 600 uses, want at most %d", got, most)
		}
	})
}

// Whoever gives up before the question was sent burns nothing.
func TestUses_GivenUp(t *testing.T) {
	bubble(t, func(_ *testing.T, a *fakeAuthority, g *Guard) {
		token := a.mint(uses(5))
		gone := make([]context.CancelFunc, 0, 4)
		u := func(ctx context.Context) { _, _ = g.Check(ctx, token) }
		u(context.Background())
		synctest.Wait()     // its round trip has landed
		g.counter.mu.Lock() // as if all round trips were under way
		g.counter.flying = maxTrips
		g.counter.mu.Unlock()
		for range 4 {
			ctx, cancel := context.WithCancel(context.Background())
			gone = append(gone, cancel)
			go u(ctx)
		}
		synctest.Wait()
		for _, cancel := range gone {
			cancel()
		}
		synctest.Wait()
		g.counter.mu.Lock()
		g.counter.flying = 0
		g.counter.mu.Unlock()
		u(context.Background())
		if got, want := a.uses[idOf(t, token)], int64(3); got != want {
			t.Errorf("%d uses left, want %d", got, want)
		}
	})
}

func idOf(t testing.TB, token string) revocation.ID {
	t.Helper()
	id, err := revocation.ParseID(claimsOf(t, token).ID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

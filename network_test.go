package jeton

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetonhq/jeton/internal/network"
	"github.com/jetonhq/jeton/jwt"
	"github.com/jetonhq/jeton/revocation"
)

// netKey is the key of the fake authority's networks.
var netKey = network.Key{7, 7, 7}

// boundTo makes a token for a network.
func boundTo(enforce bool, addr string) func(*jwt.Claims) {
	return func(c *jwt.Claims) {
		c.Network = netKey.Bind(enforce, c.GrantID, network.Of(netip.MustParseAddr(addr)))
	}
}

// comingFrom is a request from an address.
func comingFrom(addr string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/reports", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 4711).String()
	return r
}

// A seen token costs nothing more on a route that does not ask, and no digest on
// one that does.
func TestNetwork_SeenTokenIsNotHashedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		g.movements.key.Store(&netKey)
		token := a.mint(boundTo(false, "192.0.2.1"))
		if _, err := g.Check(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		e := g.seen.Get(token, 0)
		if e.Value.place.Load() != nil {
			t.Error("networks are kept although nobody asked")
		}
		here, there := ForRequest(comingFrom("192.0.2.9")), ForRequest(comingFrom("198.51.100.9"))
		check := func(want string, demands ...Demand) {
			t.Helper()
			if got := check(t, g, token, demands...); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		check("", here, Network(Enforce))
		check(ReasonWrongNetwork, there, Network(Enforce))
		// A key that says otherwise is not asked again.
		other := network.Key{1}
		g.movements.key.Store(&other)
		check("", here, Network(Enforce))
		check(ReasonWrongNetwork, there, Network(Enforce))
		check("", there, Network(Flag))
		if allocs := testing.AllocsPerRun(100, func() {
			if _, err := g.Check(context.Background(), token, Network(Enforce), here); err != nil {
				t.Fatal(err)
			}
		}); allocs > 1 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// Reports are bounded: a flood while the authority is away fills no memory.
func TestNetwork_ReportsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		a.setDown(true)
		for range 10 * maxMovements {
			g.movements.report(revocation.Movement{})
		}
		for _, after := range []time.Duration{0, 10 * time.Second} {
			time.Sleep(after)
			g.movements.mu.Lock()
			waiting := len(g.movements.waiting)
			g.movements.mu.Unlock()
			if waiting == 0 || waiting > maxMovements {
				t.Errorf("%d wait after %v, want at most %d", waiting, after, maxMovements)
			}
		}
	})
}

// A token that is used from elsewhere for its whole life is one report.
func TestNetwork_ReportedOncePerToken(t *testing.T) {
	bubble(t, func(t *testing.T, a *fakeAuthority, g *Guard) {
		g.movements.key.Store(&netKey)
		tokens := []string{a.mint(boundTo(false, "192.0.2.1")), a.mint(boundTo(true, "192.0.2.1"))}
		for _, token := range tokens {
			check(t, g, token, ForRequest(comingFrom("192.0.2.1")))
		}
		a.setDown(true)
		for range 5 {
			for _, addr := range []string{"198.51.100.9", "203.0.113.9", "192.0.2.1"} {
				for _, token := range tokens {
					check(t, g, token, ForRequest(comingFrom(addr)), Network(Flag))
				}
			}
		}
		synctest.Wait()
		g.movements.mu.Lock()
		defer g.movements.mu.Unlock()
		if len(g.movements.waiting) != len(tokens) {
			t.Errorf("%d reports, want one for each of %d tokens", len(g.movements.waiting), len(tokens))
		}
		if r := g.movements.waiting[1]; r.Network != "198.51.100.0/24" || !r.Refused {
			t.Errorf("got %+v", r)
		}
	})
}

func BenchmarkNetwork(b *testing.B) {
	a, g := benchGuard(b)
	g.movements.key.Store(&netKey)
	token := a.mint(boundTo(false, "192.0.2.1"))
	request := ForRequest(comingFrom("192.0.2.9"))
	for _, test := range []struct {
		name    string
		demands []Demand
	}{{"not-asked", []Demand{request}}, {"flag", []Demand{request, Network(Flag)}}, {"enforce", []Demand{request, Network(Enforce)}}} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Check(context.Background(), token, test.demands...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

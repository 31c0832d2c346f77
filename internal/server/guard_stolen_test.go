package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
	"github.com/jetonhq/jeton/jwt"
)

// Issue 3, "Show" 1. Whoever has the signing key can make tokens that verify
// everywhere, and that no guard accepts.
func TestGuard_StolenKey(t *testing.T) {
	w := newWorld(t, options{})
	g := w.fleet(1)[0]
	reports := httptest.NewServer(g.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), jeton.Scope("admin")))
	t.Cleanup(reports.Close)

	live := w.signedIn("web", scope("openid", "read")).text("access_token")
	if got := refusal(t, g, live); got != "" {
		t.Fatalf("the live token is refused: %s", got)
	}
	u, err := jwt.Parse(live, 0)
	must(t, err)
	key := w.stolenKey()
	admin := w.perfect(w.grantOf(live))
	admin.Subject, admin.ClientID, admin.SessionID, admin.Scope = w.person.Subject(), "web", u.Claims.SessionID, "openid read write admin"
	borrowed := admin
	borrowed.ID = u.Claims.ID

	for name, claims := range map[string]jwt.Claims{"a fresh jti": admin, "the jti of a live token": borrowed} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(2 * time.Second) // one event a second
			forged, err := jwt.Sign(key, "at+jwt", claims)
			must(t, err)
			before := len(w.events(authority.EventForgedToken))
			// Its signature is good: without the registry it would pass.
			naive := w.guardConfig()
			naive.Client = jeton.Credential{}
			if got := refusal(t, guard(t, naive), forged, jeton.Scope("admin")); got != "" {
				t.Fatalf("a guard that looks at signatures alone refuses with %q: the token is not perfect", got)
			}
			a := w.through(reports.URL, forged)
			if a.status != http.StatusUnauthorized || a.header.Get("Jeton-Reason") != jeton.ReasonUnknownToken {
				t.Errorf("got %d %q, want 401 unknown_token", a.status, a.header.Get("Jeton-Reason"))
			}
			for range 10 { // whether it remembers the token or not
				if got := refusal(t, g, forged); got != jeton.ReasonUnknownToken {
					t.Errorf("got %q, want unknown_token", got)
				}
				w.clock.advance(time.Second)
			}
			if got := refusal(t, g, forged, jeton.Fail(jeton.Open)); got != jeton.ReasonUnknownToken {
				t.Errorf("fail open: got %q, want unknown_token", got)
			}
			w.wantDead("introspection", forged)
			if got := len(w.events(authority.EventForgedToken)); got <= before {
				t.Error("no event was written")
			}
		})
	}
	if got := refusal(t, g, live); got != "" {
		t.Errorf("the live token is refused: %s", got)
	}
	list, err := w.operator().Events(t.Context(), adminclient.EventFilter{Type: string(authority.EventForgedToken)}, adminclient.Page{})
	must(t, err)
	jtis := map[string]bool{}
	for _, e := range list.Items {
		jtis[e.TokenID] = true
		if e.Data["kid"] != key.ID() {
			t.Errorf("the event names key %q, want %q", e.Data["kid"], key.ID())
		}
	}
	if !jtis[admin.ID] || !jtis[borrowed.ID] {
		t.Errorf("the audit trail names %v, want %s and %s", jtis, admin.ID, borrowed.ID)
	}
}

// A flood of perfect tokens through guards writes one event a second.
func TestGuard_StolenKeyFlood(t *testing.T) {
	w := newWorld(t, options{})
	all := w.fleet(4)
	key, g := w.stolenKey(), w.grantOf(w.machine())
	const tokens = 400
	forged := make([]string, tokens)
	for i := range forged {
		var err error
		forged[i], err = jwt.Sign(key, "at+jwt", w.perfect(g))
		must(t, err)
	}
	before := w.clock.Now()
	each(all, func(_ int, g *jeton.Guard) {
		for i, token := range forged {
			if got := refusal(t, g, token); got != jeton.ReasonUnknownToken {
				t.Errorf("got %q, want unknown_token", got)
			}
			if i%100 == 99 {
				w.clock.advance(250 * time.Millisecond)
			}
		}
	})
	passed := w.clock.Now().Sub(before)
	if n := len(w.events(authority.EventForgedToken)); n < 2 || n > int(passed/time.Second)+1 {
		t.Errorf("%d events for %d sightings in %v", n, tokens*len(all), passed)
	}
}

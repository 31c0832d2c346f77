package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jetonhq/jeton"
	adminclient "github.com/jetonhq/jeton/admin"
	"github.com/jetonhq/jeton/internal/authority"
)

// After a change of the profile a route that wants fresh claims sends clients to
// refresh, once. Nobody is signed out.
func TestFreshClaims_RefreshOnceAfterAChange(t *testing.T) {
	w := newWorld(t, options{})
	g := w.fleet(1)[0]
	fresh, any := guarded(g, jeton.FreshClaims()), guarded(g)
	s := w.session(w.person)
	first := w.signedIn("web", in(s))
	offline := w.signedIn("web", in(s), scope("read", "offline_access"))
	old := first.text("access_token")
	if got := at(fresh, old, http.MethodGet, "/"); got != "" {
		t.Fatalf("before: %s", got)
	}
	changed, err := w.operator().UpdateAccount(t.Context(), "ada", adminclient.AccountUpdate{Name: new("Ada, Countess of Lovelace")}, "married")
	must(t, err)
	if changed.Name != "Ada, Countess of Lovelace" || changed.Email != "ada@example.com" || !changed.EmailVerified {
		t.Errorf("changed to %+v", changed)
	}
	for _, token := range []string{old, offline.text("access_token")} {
		eventually(t, "the guard has noticed", 10*time.Second, func() bool { return at(fresh, token, http.MethodGet, "/") == jeton.ReasonRefreshNeeded })
		if got := at(any, token, http.MethodGet, "/"); got != "" {
			t.Errorf("a route that does not ask: %s", got)
		}
		w.wantAlive("the token", token)
	}
	again := w.refresh("web", first.text("refresh_token")).ok()
	if got := at(fresh, again.text("access_token"), http.MethodGet, "/"); got != "" {
		t.Errorf("refreshed: %s", got)
	}
	if got := at(fresh, w.signedIn("web", in(s)).text("access_token"), http.MethodGet, "/"); got != "" {
		t.Errorf("a new grant: %s", got)
	}
	if !w.sessionAlive(s.ID) {
		t.Error("the session has ended")
	}
	found := w.events(authority.EventAccountUpdated)
	if len(found) != 1 || found[0].Reason != "married" || found[0].Data["changed"] != "name" {
		t.Errorf("events: %+v", found)
	}

	// An address that changes is no longer known to be theirs.
	moved, err := w.operator().UpdateAccount(t.Context(), "ada", adminclient.AccountUpdate{Email: new("ada@lovelace.example")}, "")
	must(t, err)
	if moved.EmailVerified || moved.Email != "ada@lovelace.example" {
		t.Errorf("moved to %+v", moved)
	}
	eventually(t, "stale again", 10*time.Second, func() bool {
		return at(fresh, again.text("access_token"), http.MethodGet, "/") == jeton.ReasonRefreshNeeded
	})
	if w.machine() == "" {
		t.Error("no token for a machine")
	}
}
